/**
 * How long messages take over a wide area, beside what Cassandra takes for a write of the same size in the same run. Clients
 * use the nodes of their own region only, and each conversation is led in the region of who talks in it.
 */
import { BareDriver, batchOf } from "../bench/bare-driver.ts";
import { compareDelays } from "../bench/contest.ts";
import { Seqs, saturate } from "../bench/load.ts";
import type { Finding } from "../bench/report.ts";
import { quantile } from "../bench/statistics.ts";
import type { Wan } from "../scripts/engines/wan.mjs";
import { type Client, connect } from "../src/index.ts";
import { sleep, withDeadline } from "../src/kernel/timing.ts";
import { clock } from "./clock.ts";
import { KEYSPACE, type World } from "./world.ts";

const TIMES = 100;
/**
 * So many sends or writes at once come before: what a runtime does the first thousands of times is no measure of it. Each is in a
 * conversation of its own, for what is said in one goes in few batches.
 */
const WARM_UP_OUT = 128;
const WARM_UP_MS = 5_000;
const BODY_BYTES = 100;
const ACK_MS = 3;
const DELIVERY_MS = 5;
const ARRIVE_MS = 10_000;
const POLL_MS = 50;

/** Per region of a sender: its ack, and the delivery in each region, against a bare write. */
export async function figures(world: World, wan: Wan, say: (line: string) => void): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const [at, region] of world.regions.entries()) {
    say(`measuring what ${region} says`);
    const place = world.engines.cassandra.placeOf(world.engines.cassandra.dataCenters[at]);
    const driver = new BareDriver(place, KEYSPACE);
    const talk = await Talk.open(world, region);
    try {
      const seqs = new Seqs();
      const batch = batchOf(1, BODY_BYTES);
      const bare = `bare ${region}`;
      const write = () => driver.append(bare, seqs.take(bare, 1), batch);
      for (const once of [write, (worker: number) => talk.warmUp(worker)]) {
        await saturate({ inFlight: WARM_UP_OUT, durationMs: WARM_UP_MS, once, messages: () => 1 });
      }
      const ack = await compareDelays({
        title: `the ack of one message alone that ${region} says`,
        subject: { name: "a client near its leader", once: () => talk.say() },
        bare: { name: "a bare QUORUM write", once: write },
        times: TIMES,
        wantedMs: ACK_MS,
      });
      found.push(ack);
      for (const [reader, delays] of await talk.delivered()) {
        const at = (share: number, of: "p50" | "p99") => ({ subject: quantile(delays.slice(-TIMES), share), bare: ack[of].bare });
        const p50 = at(0.5, "p50");
        const wantedMs = DELIVERY_MS + (reader === region ? 0 : wan.oneWayMs(region, reader));
        found.push({
          ...ack,
          title: `the delivery in ${reader} of what ${region} says`,
          subject: "a reader there",
          p50,
          p99: at(0.99, "p99"),
          wantedMs,
          isMet: p50.subject <= p50.bare + wantedMs,
        });
      }
    } finally {
      await talk.close();
      await driver.close();
    }
  }
  return [...found, { kind: "fact", title: "packets came late, p99 of the worst way", value: `${await lateMs(wan)} ms` }];
}

/** Beyond what the ways take: how far the machine itself was too busy to be measured on. */
async function lateMs(wan: Wan): Promise<number> {
  const links: readonly { readonly lateP99Ms: number }[] = await wan.links();
  return Math.max(...links.map(({ lateP99Ms }) => lateP99Ms));
}

/** Somebody who talks in one region, and a reader in each. */
class Talk {
  readonly #clients: ReadonlyMap<string, Client>;
  readonly #region: string;
  readonly #conversation: string;
  readonly #saidMs: number[] = [];
  /** By region: how long each message took from the send to the reader's handler. */
  readonly #delays: ReadonlyMap<string, number[]>;

  private constructor(clients: ReadonlyMap<string, Client>, region: string) {
    this.#clients = clients;
    this.#region = region;
    this.#conversation = `figures@${region}`;
    this.#delays = new Map([...clients.keys()].map((each) => [each, []]));
    for (const [reader, client] of clients) {
      const delays = this.#delays.get(reader);
      client.subscribe(this.#conversation, {
        onMessage: ({ seq }) => void delays?.push(performance.now() - (this.#saidMs[seq - 1] ?? Number.NaN)),
      });
    }
  }

  static async open(world: World, region: string): Promise<Talk> {
    const clients = new Map<string, Client>();
    for (const each of world.regions) {
      // Not by the doors that faults shut, which would add a hop.
      const endpoints = world.nodesIn(each).map(({ config }) => config.listen);
      clients.set(each, await connect({ endpoints, sender: each }));
    }
    return new Talk(clients, region);
  }

  /** One message in another conversation that is led in the same region. */
  async warmUp(worker: number): Promise<void> {
    await this.#send(`warm-up ${worker}@${this.#region}`);
  }

  /** One message; resolves with its ack. Nobody else talks there, so the n-th one has the seq n. */
  async say(): Promise<void> {
    this.#saidMs.push(performance.now());
    await this.#send(this.#conversation);
  }

  /** Once all of them have arrived. */
  async delivered(): Promise<ReadonlyMap<string, readonly number[]>> {
    const isThere = () => [...this.#delays.values()].every(({ length }) => length === this.#saidMs.length);
    const arrive = async () => {
      while (!isThere()) await sleep(clock, POLL_MS);
    };
    await withDeadline(clock, ARRIVE_MS, "the last delivery", arrive());
    return this.#delays;
  }

  async #send(conversation: string): Promise<void> {
    const outcome = await this.#clients.get(this.#region)?.send(conversation, new Uint8Array(BODY_BYTES).fill(120));
    if (outcome?.status !== "committed") throw new Error(`a send ended ${outcome?.status}`);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }
}
