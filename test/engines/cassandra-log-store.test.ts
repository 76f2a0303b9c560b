import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { manyConversations, oneConversation } from "../../bench/size.ts";
import { check } from "../../src/adapters/cassandra/checks.ts";
import { init } from "../../src/adapters/cassandra/init.ts";
import { CassandraLogStore } from "../../src/adapters/cassandra/log-store.ts";
import { writeNotes } from "../../src/adapters/cassandra/meta.ts";
import type { CassandraSession } from "../../src/adapters/cassandra/session.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import type { ReadLevel, Row } from "../../src/ports/log-store.ts";
import { logStoreContract } from "../contract/log-store.ts";
import { TestCassandra } from "../support/cassandra.ts";
import { areThere, folderOf } from "../support/engines.ts";
import { ScopedLogStore } from "../support/scoped-log-store.ts";
import type { MemoryTelemetry } from "../support/telemetry.ts";

const LOCAL = "us_east";
const NEAR = "eu_west";
const FAR = "ap_southeast";
const MIB = 1024 * 1024;

describe.skipIf(!areThere("cassandra"))("Cassandra over three data centers", () => {
  const replicas = new Map([LOCAL, NEAR, FAR].map((dataCenter) => [dataCenter, 1]));
  let cassandra: TestCassandra;
  const sessions: CassandraSession[] = [];
  let session: CassandraSession;
  let telemetry: MemoryTelemetry;
  let store: CassandraLogStore;

  const connect = async (keyspace: string, dataCenter?: string) => {
    const connected = await cassandra.connect(keyspace, dataCenter);
    sessions.push(connected.session);
    return connected;
  };

  beforeAll(async () => {
    cassandra = await TestCassandra.start({ folder: folderOf("cassandra") });
    ({ session, telemetry } = await connect("meridian"));
    store = new CassandraLogStore({ session });
  });

  afterAll(async () => {
    await Promise.all(sessions.map((each) => each.close()));
    await cassandra?.stop();
  });

  describe("its schema", () => {
    it("is asked for where there is none [R12]", async () => {
      await expect(check(session)).rejects.toThrow("run `meridian init`");
    });

    it("is made once, though two start to make it together, and then stands every check [R12]", async () => {
      const other = await connect("meridian", NEAR);
      const made = await Promise.all([session, other.session].map((each) => init({ session: each, replicas })));
      expect(made.map(({ from }) => from).sort()).toEqual([0, 2]);
      await check(session);
      await check(other.session);
      expect(telemetry.events()).not.toContain("cassandra.node-not-checked");
      expect(other.telemetry.events()).not.toContain("cassandra.node-not-checked");
    });

    it("is brought from an earlier version to this one, and refused until then [R12]", async () => {
      await writeNotes(session, { version: 1, tableIds: new Map() });
      await expect(check(session)).rejects.toThrow("run `meridian init`");
      expect(await init({ session, replicas })).toEqual({ from: 1, to: 2 });
      await check(session);
    });

    it("is refused with unequal numbers of replicas [R12]", async () => {
      await expect(init({ session, replicas: new Map([...replicas, [FAR, 2]]) })).rejects.toThrow("unequal numbers");
    });
  });

  it("is not entered by a data center that it does not have", async () => {
    await expect(connect("meridian", "us-east")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  describe("its log store", () => {
    let scope = 0;
    logStoreContract("Cassandra", async () => {
      scope += 1;
      return { store: new ScopedLogStore(store, scope), close: async () => {} };
    });

    it("keeps one checkpoint: those of lower epochs go once a higher one is committed [R10]", async () => {
      for (const epoch of [3n, 4n, 5n]) await store.saveCheckpoint("cleaned", epoch, 10, Buffer.from("state"));
      const cql = "SELECT epoch FROM meridian.checkpoints WHERE conversation = 'cleaned'";
      const [host] = session.hosts;
      if (host === undefined) throw new Error("no node is known");
      await expect.poll(async () => (await session.ask(host, cql)).rows.map((row) => row.epoch)).toEqual([5n]);
    });
  });

  // bench/size.ts has them a hundred times as large.
  describe("logs of some size", () => {
    it("are read with proof, and found by a next leader, over many buckets [R1, R6]", async () => {
      const { messages, buckets } = await oneConversation({ store, telemetry, messages: 20_000, bodyBytes: 100 });
      expect({ messages, buckets }).toEqual({ messages: 20_096, buckets: 5 });
    });

    it("may have the largest bodies [R1]", async () => {
      const log = await oneConversation({ store, telemetry, messages: 60, bodyBytes: LIMITS.bodyBytes });
      expect(log.bytes).toBeGreaterThan(60 * LIMITS.bodyBytes);
    });

    it("may be a thousand, each with its own rows and checkpoint [R10]", async () => {
      expect(await manyConversations({ store, conversations: 1_000 })).toMatchObject({ reads: 200 });
    });
  });

  describe("when nodes fail", () => {
    let seq = 0;
    const rowOf = (firstSeq: number): Row => {
      return { conversation: "faults", firstSeq, epoch: 7n, bytes: Buffer.from(`batch ${firstSeq}`) };
    };
    const appendNext = () => {
      seq += 1;
      return store.append(rowOf(seq));
    };
    /** Makes the calls one after the other; answers how long the slowest took. */
    const slowestOf = async (calls: readonly (() => Promise<unknown>)[]) => {
      let slowestMs = 0;
      for (const call of calls) {
        const startedMs = performance.now();
        await call();
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      }
      return slowestMs;
    };
    /** Appends one after the other; answers the outcomes, and how long the slowest took. */
    const appendMany = async (count: number) => {
      const outcomes = new Set<string>();
      const append = async () => outcomes.add(await appendNext());
      const slowestMs = await slowestOf(Array.from({ length: count }, () => append));
      return { outcomes: [...outcomes], slowestMs };
    };
    const readAll = async (level: ReadLevel) => {
      const { rows } = await store.read("faults", 1, { level, limitBytes: MIB });
      return rows.map(({ firstSeq }) => firstSeq);
    };
    const all = () => Array.from({ length: seq }, (_, at) => at + 1);
    const fallbacks = () => telemetry.counters.get("cassandra.local-fallbacks") ?? 0;
    /** What the local replica itself has, or undefined when the read fell back. */
    const localRows = async () => {
      const before = fallbacks();
      const found = await readAll("local");
      return fallbacks() === before ? found.length : undefined;
    };
    const tell = (what: string, ms: number, call = "append") =>
      console.info(`Cassandra, ${what}: the slowest ${call} took ${ms.toFixed(0)} ms`);

    /** All three replicas answer again, and the hints of the others brought the local one what it missed. */
    beforeEach(async () => {
      await expect
        .poll(
          () =>
            readAll("all").then(
              (rows) => rows.length,
              () => undefined,
            ),
          { timeout: 90_000 },
        )
        .toBe(seq);
      await expect.poll(localRows, { timeout: 90_000 }).toBe(seq);
    });

    it("a replica that is killed elsewhere delays and loses nothing, nor does it keep a node from starting [R3]", async () => {
      await appendMany(20);
      await cassandra.on("kill", FAR);
      const { outcomes, slowestMs } = await appendMany(200);
      tell("killed elsewhere", slowestMs);
      expect(outcomes).toEqual(["committed"]);
      expect(slowestMs).toBeLessThan(2 * LIMITS.cassandraTryMs);
      expect(await readAll("quorum")).toEqual(all());
      expect(await localRows()).toBe(seq);
      const starting = await connect("meridian");
      await check(starting.session);
      expect(starting.telemetry.events().filter((event) => event === "cassandra.node-not-checked")).toHaveLength(1);
      await cassandra.on("up", FAR);
    });

    it("a local replica that is killed is passed by: appends commit, local reads fall back and are counted [R3, R5]", async () => {
      await cassandra.on("kill", LOCAL);
      const { outcomes, slowestMs } = await appendMany(200);
      tell("killed near by", slowestMs);
      expect(outcomes).toEqual(["committed"]);
      expect(slowestMs).toBeLessThan(2 * LIMITS.cassandraTryMs);
      const before = fallbacks();
      expect(await readAll("local")).toEqual(all());
      expect(fallbacks()).toBe(before + 1);
      await cassandra.on("up", LOCAL);
    });

    it("a replica elsewhere that stands still does not delay the first use of a statement [R3]", async () => {
      const young = await connect("meridian");
      const first = new CassandraLogStore({ session: young.session });
      // Connected to all of them, without a statement yet that was prepared.
      for (const host of young.session.hosts) await young.session.ask(host, "SELECT key FROM system.local");
      await cassandra.on("pause", FAR);
      const startedMs = performance.now();
      await first.loadEpochMark(1);
      await first.loadCheckpoint("faults");
      await first.read("faults", 1, { level: "quorum", limitBytes: MIB });
      expect(performance.now() - startedMs).toBeLessThan(LIMITS.cassandraTryMs);
      await cassandra.on("resume", FAR);
    });

    // A server takes a table's speculative_retry over within 5 s, and the tests before this one take longer.
    it("a replica that has just died, and counts as alive, keeps no takeover waiting for its reads [R3]", async () => {
      const names = Array.from({ length: 20 }, (_, at) => `taken over ${at}`);
      for (const name of names) await store.saveCheckpoint(name, 1n, 1, Buffer.from("state"));
      await cassandra.on("kill", LOCAL);
      const reads = names.flatMap((name) => [
        () => store.loadCheckpoint(name),
        () => store.loadEpochMark(1),
        () => store.read(name, 1, { level: "quorum", limitBytes: MIB }),
      ]);
      const slowestMs = await slowestOf(reads);
      tell("just killed near by", slowestMs, "read");
      expect(slowestMs).toBeLessThan(LIMITS.cassandraTryMs);
      await cassandra.on("up", LOCAL);
    });

    it("a local replica that stands still costs one try, and is then passed by until it goes on [R3]", async () => {
      await cassandra.on("pause", LOCAL);
      const { outcomes, slowestMs } = await appendMany(100);
      tell("paused near by", slowestMs);
      expect(outcomes).toEqual(["committed"]);
      expect(slowestMs).toBeLessThan(2 * LIMITS.cassandraTryMs);
      expect(await readAll("local")).toEqual(all());
      await cassandra.on("resume", LOCAL);
    });

    it("without a majority an append is unknown in time, and what was committed is still read near by [G6, R3]", async () => {
      const committed = all();
      await cassandra.on("pause", NEAR, FAR);
      const startedMs = performance.now();
      expect(await appendNext()).toBe("unknown");
      expect(performance.now() - startedMs).toBeLessThan(LIMITS.cassandraWriteMs + 500);
      expect((await readAll("local")).slice(0, committed.length)).toEqual(committed);
      await expect(readAll("quorum")).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await cassandra.on("resume", NEAR, FAR);
      await expect.poll(() => store.append(rowOf(seq)), { timeout: 60_000 }).toBe("committed");
    });

    it("with all of them killed everything fails in time, and works again when they are back [G2, G6]", async () => {
      await cassandra.on("kill", LOCAL, NEAR, FAR);
      const startedMs = performance.now();
      expect(await appendNext()).toBe("unknown");
      expect(performance.now() - startedMs).toBeLessThan(LIMITS.cassandraWriteMs + 500);
      await expect(readAll("local")).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await cassandra.on("up", LOCAL, NEAR, FAR);
      await expect.poll(() => store.append(rowOf(seq)), { timeout: 60_000 }).toBe("committed");
      expect(await readAll("quorum")).toEqual(all());
    });
  });

  // The last ones, for the keyspace is of no use after them; a second one would take Cassandra ten seconds.
  describe("its keyspace, once it is spoiled", () => {
    it("is refused with a table that init did not make, and with replicas in few data centers [R12]", async () => {
      await session.define("DROP TABLE meridian.epochs");
      await session.define("CREATE TABLE meridian.epochs (scope text, shard int, epoch bigint, PRIMARY KEY (scope, shard))");
      await expect(check(session)).rejects.toThrow("the table epochs is");
      const two = [LOCAL, NEAR].map((dataCenter) => `'${dataCenter}': 1`).join(", ");
      const alter = `ALTER KEYSPACE meridian WITH replication = {'class': 'NetworkTopologyStrategy', ${two}}`;
      // Refused until each node knows of each other one that it has settled, which after a start of all takes a while.
      await vi.waitFor(() => session.define(alter), { timeout: 90_000, interval: 500 });
      await expect(check(session)).rejects.toThrow("three or more");
    });
  });
});
