/**
 * The driver as Meridian uses it: prepared statements, short tries at one node after the other, and all of them together
 * within a deadline.
 *
 * Each try repeats the same bytes under the same timestamp, so nothing is harmed by a try that lands late, and replicas
 * that took different tries hold equal cells. What a failed call did is unknown, always: a node that was reached may have
 * passed the write on before it failed. Statements with conditions (`IF`) are not repeated here, for a repetition would
 * find its own effect; whoever sends one looks at the stored row.
 */
import { type Client, type Host, type QueryOptions, types } from "cassandra-driver";
import { backoffMs } from "../../kernel/backoff.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep, withDeadline } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { type CassandraOptions, newClient, PROFILES } from "./client.ts";
import { argumentError, failureOf, unavailable } from "./failures.ts";
import { Gate } from "./gate.ts";
import { type Reach, Suspects } from "./suspects.ts";

export interface Execution {
  readonly consistency: types.consistencies;
  /** local: coordinated in the own data center only. Default global. */
  readonly reach?: Reach;
  readonly tryMs?: number;
  readonly withinMs?: number;
  /** A statement with `IF`: one try. */
  readonly conditional?: boolean;
}

type Send = (options: QueryOptions) => Promise<types.ResultSet>;

export class CassandraSession {
  readonly keyspace: string;
  readonly localDataCenter: string;
  readonly #options: CassandraOptions;
  readonly #client: Client;
  readonly #suspects: Suspects;
  /** Apart, so that what waits for a majority in vain does not keep local reads waiting. */
  readonly #gates: Readonly<Record<Reach, Gate>>;

  /** Connects. Throws UNAVAILABLE when no contact point answers, INVALID_ARGUMENT when the options are wrong. */
  static async connect(options: CassandraOptions): Promise<CassandraSession> {
    const session = new CassandraSession(options);
    try {
      await session.#client.connect();
      return session;
    } catch (thrown) {
      await session.close();
      const wrong = argumentError(thrown);
      if (wrong === undefined) throw unavailable("connecting to Cassandra", thrown);
      throw new MeridianError("INVALID_ARGUMENT", wrong.message, {
        advice: "The region's data center must be named as Cassandra names it: letter case counts.",
        cause: thrown,
      });
    }
  }

  private constructor(options: CassandraOptions) {
    this.keyspace = options.keyspace;
    this.localDataCenter = options.localDataCenter;
    this.#options = options;
    this.#suspects = new Suspects({ clock: options.clock });
    this.#gates = { local: new Gate({ clock: options.clock }), global: new Gate({ clock: options.clock }) };
    this.#client = newClient(options, this.#suspects);
    this.#client.on("hostDown", (host: Host) => this.#report("warn", "cassandra.node-down", host));
    this.#client.on("hostUp", (host: Host) => this.#report("info", "cassandra.node-up", host));
  }

  get timers(): Clock {
    return this.#options.clock;
  }

  get random(): Random {
    return this.#options.random;
  }

  get telemetry(): Telemetry {
    return this.#options.telemetry;
  }

  /** All nodes of the cluster that the driver has heard of. */
  get hosts(): readonly Host[] {
    return this.#client.hosts.values();
  }

  /** Throws UNAVAILABLE; what it did is unknown then. */
  execute(what: string, cql: string, params: readonly unknown[], how: Execution): Promise<types.ResultSet> {
    return this.#execute(what, how, (options) => this.#client.execute(cql, params as unknown[], options));
  }

  /** As `execute`, once for each of `all`, in one mutation: all must write to the same partition. */
  executeAll(what: string, cql: string, all: readonly (readonly unknown[])[], how: Execution): Promise<types.ResultSet> {
    const queries = all.map((params) => ({ query: cql, params }));
    return this.#execute(what, how, (options) => this.#client.batch(queries, { ...options, logged: false }));
  }

  #execute(what: string, how: Execution, send: Send): Promise<types.ResultSet> {
    const withinMs = how.withinMs ?? LIMITS.cassandraCallMs;
    const clock = this.#options.clock;
    const endsAtMs = clock.monotonicMs() + withinMs;
    // One timestamp for all tries; the driver would make a new one for each call. `USING TIMESTAMP` goes before it.
    const timestamp = clock.wallMs() * 1_000;
    const gate = this.#gates[how.reach ?? "global"];
    const work = gate.run(how.tryMs ?? LIMITS.cassandraTryMs, () => this.#tries(what, send, { ...how, timestamp, endsAtMs }));
    return withDeadline(clock, withinMs, what, work);
  }

  /** At one node: what it says of itself. Throws UNAVAILABLE. */
  async ask(host: Host, cql: string): Promise<types.ResultSet> {
    const { clock } = this.#options;
    const options = { host, consistency: types.consistencies.one, readTimeout: LIMITS.cassandraLargeTryMs };
    const endsAtMs = clock.monotonicMs() + LIMITS.cassandraLargeTryMs;
    for (;;) {
      try {
        return await this.#client.execute(cql, [], options);
      } catch (thrown) {
        // A node counts as up from the first, and may have no connection yet; if it cannot have one it soon counts as down.
        const isYoung = failureOf(thrown) === "unreachable" && host.isUp() && clock.monotonicMs() < endsAtMs;
        if (!isYoung) throw unavailable(`asking ${host.address}`, thrown);
        await sleep(clock, LIMITS.cassandraRetryFirstMs);
      }
    }
  }

  /** A change of the schema, once; true when all nodes that are up agree on it in the end. Throws UNAVAILABLE. */
  async define(cql: string): Promise<boolean> {
    try {
      const result = await this.#client.execute(cql, [], { isIdempotent: false, readTimeout: 30_000 });
      // The driver's types lack it.
      return (result.info as { readonly isSchemaInAgreement?: boolean }).isSchemaInAgreement === true;
    } catch (thrown) {
      throw unavailable("changing the schema", thrown);
    }
  }

  close(): Promise<void> {
    return this.#client.shutdown();
  }

  async #tries(
    what: string,
    send: Send,
    how: Execution & { readonly timestamp: number; readonly endsAtMs: number },
  ): Promise<types.ResultSet> {
    const { clock, random, telemetry } = this.#options;
    const reach = how.reach ?? "global";
    const options: QueryOptions = {
      prepare: true,
      consistency: how.consistency,
      serialConsistency: types.consistencies.serial,
      executionProfile: PROFILES[reach],
      isIdempotent: how.conditional !== true,
      readTimeout: how.tryMs ?? LIMITS.cassandraTryMs,
      timestamp: how.timestamp,
      // Without it the server cuts a result into pages of its own.
      fetchSize: 0,
    };
    // The caller knows already; sent now it would only be in the way of the others.
    if (clock.monotonicMs() >= how.endsAtMs) throw new MeridianError("UNAVAILABLE", `${what} had no turn in time`);
    for (let tries = 0; ; tries++) {
      try {
        const result = await send(options);
        this.#suspects.answered(result.info.queriedHost, reach);
        return result;
      } catch (thrown) {
        const failure = failureOf(thrown);
        telemetry.count(`cassandra.failures.${failure}`);
        const pauseMs = backoffMs(
          tries,
          { firstMs: LIMITS.cassandraRetryFirstMs, maxMs: LIMITS.cassandraRetryMaxMs },
          random.u32(),
        );
        const isOver = clock.monotonicMs() + pauseMs >= how.endsAtMs;
        if (failure === "refused" || how.conditional === true || reach === "local" || isOver) throw unavailable(what, thrown);
        await sleep(clock, pauseMs);
      }
    }
  }

  #report(level: "info" | "warn", event: string, { address, datacenter }: Host): void {
    if (event === "cassandra.node-down") this.telemetry.count("cassandra.nodes-down");
    this.telemetry.log(level, event, { address, dataCenter: datacenter });
  }
}
