import type { Outcome } from "../../index.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { sleep } from "../../kernel/timing.ts";
import type { RecordedClient } from "../../verify/recorded-client.ts";
import type { CliClock } from "../cli.ts";
import type { Fleet } from "./fleet.ts";
import { Gaps } from "./gaps.ts";
import { eachOf, Window } from "./window.ts";

export interface SteadyLoadOptions {
  readonly clock: CliClock;
  readonly fleet: Fleet;
  readonly conversations: readonly string[];
  /** Between two turns of a conversation in one region. */
  readonly everyMs: number;
  /** What is said there in the n-th turn, counted from 1, and by whom: all of it at once. */
  readonly says: (region: string, conversation: string, n: number) => readonly Saying[];
}

export interface Saying {
  readonly sender: string;
  readonly text: string | Uint8Array;
}

/** Sends of one sender without an end; beyond it, it waits: a minute without a leader must not fill the memory. */
const IN_FLIGHT_MAX = 256;
const RESOLVED_AT_ONCE = 16;

/** In every conversation somebody of each region says something every so often, whether the last was acknowledged or not. */
export class SteadyLoad {
  /** What was acknowledged: id by seq, by conversation. */
  readonly acknowledged: ReadonlyMap<string, Map<number, bigint>>;
  readonly counts = { committed: 0, rejected: 0, expired: 0, unknown: 0 };
  readonly #options: SteadyLoadOptions;
  readonly #acks: ReadonlyMap<string, Gaps>;
  readonly #inFlight = new Map<string, number>();
  #isStopped = false;
  readonly #unknown: { readonly client: RecordedClient; readonly conversation: string; readonly retryKey: string }[] = [];
  #senders: Promise<void> = Promise.resolve();
  /** Why a send could not even be tried. */
  #failure: MeridianError | undefined;
  /** Sends that began at this moment or later count, and how long they took is counted from the other one. */
  #measured = { sinceMs: Number.POSITIVE_INFINITY, fromMs: 0 };
  #recovered = new Map<string, number>();

  constructor(options: SteadyLoadOptions) {
    const { conversations, clock } = options;
    this.#options = options;
    this.acknowledged = new Map(conversations.map((name) => [name, new Map<number, bigint>()]));
    this.#acks = new Map(conversations.map((name) => [name, new Gaps(clock.monotonicMs())]));
  }

  start(): void {
    const { clock, conversations, everyMs, fleet } = this.#options;
    const senders = conversations.flatMap((conversation, at) => fleet.regions.map((region) => ({ conversation, at, region })));
    this.#senders = eachOf(senders.entries(), senders.length, async ([place, { conversation, at, region }]) => {
      // All at once, they would leave long times between with nothing on its way.
      await sleep(clock, (everyMs * place) / senders.length);
      await this.#talk(fleet.client(region, at), conversation);
    });
    // `stop` tells of a failure; until then nobody waits.
    this.#senders.catch(() => {});
  }

  /** Sends no more; resolves once every send has its end, also those whose end was unknown. Throws what kept it from sending. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#senders;
    if (this.#failure !== undefined) throw this.#failure;
    await eachOf(this.#unknown.splice(0), RESOLVED_AT_ONCE, async ({ client, conversation, retryKey }) => {
      this.counts.unknown -= 1;
      this.#ended(conversation, await client.resolve(retryKey));
    });
  }

  /** Sends without an end in these conversations. */
  inFlight(conversations: Iterable<string>): number {
    return [...conversations].reduce((sum, name) => sum + (this.#inFlight.get(name) ?? 0), 0);
  }

  /**
   * Measures anew how long conversations do without acknowledged sends. Only sends from now on count, so that none does that was
   * on its way before; their time is counted from `fromMs`, which lies a little before.
   */
  measureFrom(fromMs: number): void {
    this.#measured = { sinceMs: this.#options.clock.monotonicMs(), fromMs };
    this.#recovered = new Map();
    for (const gaps of this.#acks.values()) gaps.restart();
  }

  /** By conversation: how long after `fromMs` the first send that counts was acknowledged. */
  get recovered(): ReadonlyMap<string, number> {
    return this.#recovered;
  }

  /** The longest time since `measureFrom` that a conversation had no acknowledged send. */
  longestStallMs(): number {
    const nowMs = this.#options.clock.monotonicMs();
    return Math.max(...[...this.#acks.values()].map((gaps) => gaps.longestMs(nowMs)));
  }

  async #talk(client: RecordedClient, conversation: string): Promise<void> {
    const { clock, everyMs } = this.#options;
    const window = new Window(IN_FLIGHT_MAX);
    for (let n = 1; !this.#isStopped; n += 1) {
      for (const saying of this.#options.says(client.region, conversation, n)) {
        await window.enter();
        await client.recorder.room();
        void this.#send(client, conversation, saying, window);
      }
      await sleep(clock, everyMs);
    }
    await window.empty();
  }

  /** Never throws. */
  async #send(client: RecordedClient, conversation: string, { sender, text }: Saying, window: Window): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs();
    this.#fly(conversation, 1);
    try {
      const outcome = await client.producer({ sender }).send(conversation, text);
      this.#ended(conversation, outcome);
      if (outcome.status === "unknown") this.#unknown.push({ client, conversation, retryKey: outcome.retryKey });
      if (outcome.status === "committed") this.#acked(conversation, startedMs);
    } catch (thrown) {
      this.#failure ??= MeridianError.from(thrown);
    } finally {
      this.#fly(conversation, -1);
      window.leave();
    }
  }

  #fly(conversation: string, by: number): void {
    this.#inFlight.set(conversation, (this.#inFlight.get(conversation) ?? 0) + by);
  }

  #acked(conversation: string, startedMs: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#acks.get(conversation)?.beat(nowMs);
    const { sinceMs, fromMs } = this.#measured;
    if (startedMs >= sinceMs && !this.#recovered.has(conversation)) this.#recovered.set(conversation, nowMs - fromMs);
  }

  #ended(conversation: string, outcome: Outcome): void {
    this.counts[outcome.status] += 1;
    if (outcome.status === "committed") this.acknowledged.get(conversation)?.set(outcome.seq, outcome.id);
  }
}
