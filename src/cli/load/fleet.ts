import type { Client, ClientOptions, Message } from "../../index.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { fnv1a64 } from "../../kernel/hash.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep, withDeadline } from "../../kernel/timing.ts";
import type { RecordedClient } from "../../verify/recorded-client.ts";
import type { RecordedProducer } from "../../verify/recorded-producer.ts";
import type { RecordedReader } from "../../verify/recorded-reader.ts";
import type { Recorder } from "../../verify/recorder.ts";
import type { CliClock } from "../cli.ts";
import { eachOf } from "./window.ts";

/** A region in which clients live, and how they reach the nodes. */
export interface Home {
  readonly region: string;
  readonly endpoints: readonly string[];
}

export interface FleetOptions {
  readonly connect: (options: ClientOptions) => Promise<Client>;
  readonly agent: string;
  readonly clock: CliClock;
  readonly recorder: Recorder;
  readonly homes: readonly Home[];
  readonly clientsPerRegion: number;
  /** Told of each kind of trouble once. */
  readonly onTrouble: (text: string) => void;
}

/** Somebody who talks, and the client that he talks by. */
export interface Sender {
  readonly client: RecordedClient;
  readonly producer: RecordedProducer;
}

/** Questions to nodes that run together. */
const ASKED_AT_ONCE = 16;
const POLL_MS = 100;
/** Readers that come no nearer to the head within this never will. */
const STUCK_MS = 60_000;

/** Recorded clients in all regions, with a reader of every conversation in each of them. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #clients: readonly RecordedClient[];
  readonly #senders = new Map<string, Sender>();
  #readers: RecordedReader[] = [];

  private constructor(options: FleetOptions, clients: readonly RecordedClient[]) {
    this.#options = options;
    this.#clients = clients;
  }

  static async open(options: FleetOptions): Promise<Fleet> {
    const { connect, agent, homes, clientsPerRegion, recorder, onTrouble } = options;
    const troubles = new Set<string>();
    const clients: RecordedClient[] = [];
    // Neighbours live in different regions, so that any few of them are spread as well.
    for (let at = 1; at <= clientsPerRegion; at += 1) {
      for (const { region, endpoints } of homes) {
        const client = await connect({ endpoints, agent });
        client.on("fault", ({ what, error }) => {
          if (troubles.has(`${what} ${error.code}`)) return;
          troubles.add(`${what} ${error.code}`);
          onTrouble(`${what}: ${error.message}`);
        });
        clients.push(recorder.client(client, { name: `${region}/${at}`, region }));
      }
    }
    return new Fleet(options, clients);
  }

  get regions(): readonly string[] {
    return this.#options.homes.map(({ region }) => region);
  }

  /** One of the clients that live in a region; the same for the same number. */
  client(region: string, at = 0): RecordedClient {
    const living = this.#clients.filter((client) => client.region === region);
    const found = living[at % living.length];
    if (found === undefined) throw new MeridianError("NOT_FOUND", `no client lives in ${JSON.stringify(region)}`);
    return found;
  }

  /** The nick always lives in one region and uses one client: its order is one producer's. */
  sender(nick: string): Sender {
    const known = this.#senders.get(nick);
    if (known !== undefined) return known;
    const client = this.#clients[Number(fnv1a64(nick) % BigInt(this.#clients.length))] as RecordedClient;
    const sender = { client, producer: client.producer({ sender: nick }) };
    this.#senders.set(nick, sender);
    return sender;
  }

  /** Reads every conversation in every region from where it is now. Resolves once nodes have taken all of it. */
  async read(conversations: readonly string[], onMessage: (region: string, message: Message) => void): Promise<void> {
    await eachOf(conversations.entries(), ASKED_AT_ONCE, async ([at, conversation]) => {
      const { head } = await this.client(this.regions[at % this.regions.length] as string).client.locate(conversation);
      for (const region of this.regions) {
        const reader = this.client(region, at).read({
          reader: `${region}/${conversation}`,
          conversation,
          after: head.seq,
          onMessage: (message) => onMessage(region, message),
        });
        this.#readers.push(reader);
        await withDeadline(this.#options.clock, LIMITS.callDeadlineMs, `reading ${conversation} in ${region}`, reader.started);
      }
    });
  }

  /** Call it when all sends have ended: waits until every reader has come to the head. Answers what is wrong with the others. */
  async catchUp(conversations: readonly string[]): Promise<readonly string[]> {
    const heads = new Map<string, number>();
    const asked = this.regions.flatMap((region) => conversations.map((conversation) => ({ region, conversation })));
    await eachOf(asked, ASKED_AT_ONCE, async ({ region, conversation }) => {
      const { head } = await this.client(region).head(conversation);
      heads.set(conversation, Math.max(head.seq, heads.get(conversation) ?? 0));
    });
    const { clock } = this.#options;
    const behind = () => this.#readers.filter(({ position, conversation }) => position < (heads.get(conversation) ?? 0));
    const missing = () =>
      behind().reduce((sum, { position, conversation }) => sum + (heads.get(conversation) ?? 0) - position, 0);
    let least = Number.POSITIVE_INFINITY;
    for (let stuckMs = 0; stuckMs < STUCK_MS && behind().length > 0; stuckMs += POLL_MS) {
      if (missing() < least) {
        least = missing();
        stuckMs = 0;
      }
      await sleep(clock, POLL_MS);
    }
    return behind().map(({ region, conversation, position, error }) => {
      const why = error === undefined ? "" : `: ${error.message}`;
      return `the reader of ${conversation} in ${region} came to #${position} of #${heads.get(conversation)}${why}`;
    });
  }

  /** Ends the readers, recording how far they came, and the clients. */
  async close(): Promise<void> {
    const readers = await Promise.allSettled(this.#readers.map((reader) => reader.close()));
    const clients = await Promise.allSettled(this.#clients.map(({ client }) => client.close()));
    for (const result of [...readers, ...clients]) if (result.status === "rejected") throw result.reason;
  }
}
