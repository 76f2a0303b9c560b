/**
 * A region is lost under load, and comes back: what was lost with it, and for how long did nothing go on?
 *
 * RPO counts the acknowledged messages that cannot be read back, at their seq and with their id, in every region. RTO is the
 * time from the loss to the first acknowledgement of a send of after it, in the conversation that waited longest: sends from
 * before may be acknowledged by what they had reached already, and would flatter it.
 */
import { LIMITS } from "../../kernel/limits.ts";
import { sleep } from "../../kernel/timing.ts";
import { Gaps } from "./gaps.ts";
import { Outage, type OutageTools } from "./outage.ts";
import { SteadyLoad } from "./steady-load.ts";
import { eachOf } from "./window.ts";

export interface DrillOptions extends OutageTools {
  /** The one to lose; it leads the conversations. */
  readonly region: string;
  readonly conversations: readonly string[];
  readonly leaseTtlMs: number;
  readonly everyMs: number;
  readonly restoreAfterMs: number;
  /** Ends the waiting early; the region is restored all the same. */
  readonly signal: AbortSignal;
}

export interface DrillReport {
  readonly region: string;
  /** Conversations that the region led when it was lost. */
  readonly conversations: number;
  readonly inFlight: number;
  readonly acknowledged: number;
  /** Acknowledged, and not there: `standup#42 in eu-west`. */
  readonly missing: readonly string[];
  /** Undefined if a conversation did not go on. */
  readonly rtoMs: number | undefined;
  readonly rtoBoundMs: number;
  /** By region, the longest time that a reader of a conversation was handed nothing. */
  readonly deliveryGapMs: Readonly<Record<string, number>>;
  /** From the loss to the order to restore it. */
  readonly restoredMs: number;
  /** From that order to a replica that lacks nothing, and to leading again what it led; undefined if that did not come. */
  readonly healedMs: number | undefined;
  readonly handedBackMs: number | undefined;
  /** The longest stall since that order. */
  readonly handBackStallMs: number;
  readonly counts: SteadyLoad["counts"];
  readonly problems: readonly string[];
}

/** Before and after the faults, so that there is something to compare with. */
const CALM_MS = 3_000;
const POLL_MS = 50;
/** A conversation that was not led again within this has no RTO. */
const RECOVERY_MS = 120_000;
const READ_AT_ONCE = 16;

/** In their order. */
const PHASES = {
  begins: "readers begin",
  calm: "all is well",
  lost: "lost",
  back: "comes back",
  ends: "readers catch up",
  read: "what was acknowledged is read back",
} as const;

export class Drill {
  readonly #options: DrillOptions;
  readonly #load: SteadyLoad;
  /** By region and conversation. */
  readonly #deliveries = new Map<string, Gaps>();
  #phase: keyof typeof PHASES = "begins";

  constructor(options: DrillOptions) {
    this.#options = options;
    const says = (region: string, _: string, n: number) => [{ sender: `drill in ${region}`, text: `${region} ${n}` }];
    this.#load = new SteadyLoad({ ...options, says });
    for (const where of options.fleet.regions) {
      for (const name of options.conversations) {
        this.#deliveries.set(`${where} ${name}`, new Gaps(options.clock.monotonicMs()));
      }
    }
  }

  /** How far it is, and what it does now. */
  get progress() {
    const { region } = this.#options;
    const phases = Object.keys(PHASES);
    const text = `${region}: ${PHASES[this.#phase]}`;
    return { done: phases.indexOf(this.#phase), all: phases.length, text };
  }

  async run(): Promise<DrillReport> {
    const { clock, fleet, conversations, region, signal } = this.#options;
    await fleet.read(conversations, (where, { conversation }) => {
      this.#deliveries.get(`${where} ${conversation}`)?.beat(clock.monotonicMs());
    });
    this.#load.start();
    try {
      this.#phase = "calm";
      await sleep(clock, CALM_MS, signal);
      const outage = await Outage.plan(this.#options, conversations, region);
      const lost = await this.#lose(outage);
      const back = await this.#bringBack(outage);
      await this.#load.stop();
      this.#phase = "ends";
      const behind = await fleet.catchUp(conversations);
      this.#phase = "read";
      const missing = await this.#missing();
      const { problems, ...facts } = lost;
      const acknowledged = [...this.#load.acknowledged.values()].reduce((sum, { size }) => sum + size, 0);
      const counts = this.#load.counts;
      return { region, ...facts, ...back, acknowledged, missing, counts, problems: [...problems, ...behind] };
    } finally {
      await this.#load.stop();
    }
  }

  async #lose(outage: Outage) {
    const { clock, conversations, leaseTtlMs, region, restoreAfterMs, signal } = this.#options;
    this.#phase = "lost";
    const affected = [...outage.affected.keys()];
    try {
      await outage.kill();
      this.#load.measureFrom(outage.killedMs);
      for (const gaps of this.#deliveries.values()) gaps.restart();
      const inFlight = this.#load.inFlight(affected);
      const left = await outage.ledElsewhere();
      const rtoMs = await this.#recovery(outage);
      await sleep(clock, outage.killedMs + restoreAfterMs - clock.monotonicMs(), signal);
      const problems = left.map((name) => `${name} was led nowhere else with a higher epoch`);
      if (affected.length < conversations.length) {
        problems.push(`${region} led ${affected.length} of ${conversations.length} conversations when it was lost`);
      }
      if (inFlight === 0) problems.push("no send was in flight when the region was lost");
      const rtoBoundMs = 1.1 * leaseTtlMs + 2_000;
      return { conversations: affected.length, inFlight, rtoMs, rtoBoundMs, deliveryGapMs: this.#deliveryGaps(), problems };
    } finally {
      this.#phase = "back";
      this.#load.measureFrom(clock.monotonicMs());
      await outage.restore();
    }
  }

  /** Of the conversation that waited longest. */
  async #recovery({ killedMs, affected }: Outage): Promise<number | undefined> {
    const { clock } = this.#options;
    const isOver = () => [...affected.keys()].every((name) => this.#load.recovered.has(name));
    while (!isOver()) {
      if (clock.monotonicMs() - killedMs > RECOVERY_MS) return undefined;
      await sleep(clock, POLL_MS);
    }
    return Math.max(0, ...[...affected.keys()].map((name) => this.#load.recovered.get(name) ?? 0));
  }

  #deliveryGaps(): Readonly<Record<string, number>> {
    const { clock, fleet, conversations } = this.#options;
    const nowMs = clock.monotonicMs();
    const longest = (region: string) =>
      Math.max(...conversations.map((name) => this.#deliveries.get(`${region} ${name}`)?.longestMs(nowMs) ?? 0));
    return Object.fromEntries(fleet.regions.map((region) => [region, longest(region)]));
  }

  async #bringBack(outage: Outage) {
    const { clock, signal } = this.#options;
    const beganMs = clock.monotonicMs();
    const since = (isDone: boolean) => (isDone ? clock.monotonicMs() - beganMs : undefined);
    const [healedMs, handedBackMs] = await Promise.all([outage.healed().then(since), outage.ledAgain().then(since)]);
    await sleep(clock, CALM_MS, signal);
    return {
      restoredMs: beganMs - outage.killedMs,
      healedMs,
      handedBackMs,
      handBackStallMs: this.#load.longestStallMs(),
    };
  }

  /** What was acknowledged and cannot be read back. */
  async #missing(): Promise<readonly string[]> {
    const { fleet } = this.#options;
    const missing: string[] = [];
    const reads = fleet.regions.flatMap((region) => [...this.#load.acknowledged].map((entry) => [region, ...entry] as const));
    await eachOf(reads, READ_AT_ONCE, async ([region, conversation, acknowledged]) => {
      const found = await this.#readBack(region, conversation);
      for (const [seq, id] of acknowledged) if (found.get(seq) !== id) missing.push(`${conversation}#${seq} in ${region}`);
    });
    return missing;
  }

  async #readBack(region: string, conversation: string): Promise<ReadonlyMap<number, bigint>> {
    const { client } = this.#options.fleet.client(region);
    const found = new Map<number, bigint>();
    for (let after = 0, head = 1; after < head; ) {
      const page = await client.history(conversation, { after, limit: LIMITS.historyMessages });
      for (const { seq, id } of page.messages) found.set(seq, id);
      if (page.through <= after) break;
      after = page.through;
      head = page.head;
    }
    return found;
  }
}
