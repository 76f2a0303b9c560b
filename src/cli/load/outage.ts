/**
 * The loss of a region under load, and what shows that it was one.
 *
 * A fault that was ordered proves nothing: the region may have led nothing, or may have gone on leading. So the epochs are
 * noted before, and the outage has had its effect once others lead under higher ones. Where a conversation is led is told
 * by the leader's own name: its home stays what it was while another region's node looks after it.
 */
import { MeridianError } from "../../kernel/errors.ts";
import { sleep } from "../../kernel/timing.ts";
import type { EpochChange } from "../../verify/record.ts";
import type { Recorder } from "../../verify/recorder.ts";
import type { CliClock } from "../cli.ts";
import type { Breaker } from "./breaker.ts";
import type { Fleet } from "./fleet.ts";
import { eachOf } from "./window.ts";

const ASKED_AT_ONCE = 16;
const POLL_MS = 100;
/** How long each step of an outage may take: leases end, and replicas are healed, well within it. */
const STEP_MS = 120_000;

interface Led {
  readonly region: string;
  readonly epoch: bigint;
}

export interface OutageTools {
  readonly clock: CliClock;
  readonly breaker: Breaker;
  readonly fleet: Fleet;
  readonly recorder: Recorder;
}

export class Outage {
  readonly region: string;
  /** The conversations that the region led when it was lost, with their epochs. */
  readonly affected: ReadonlyMap<string, bigint>;
  readonly #tools: OutageTools;
  #killedMs = 0;

  private constructor(tools: OutageTools, region: string, affected: ReadonlyMap<string, bigint>) {
    this.#tools = tools;
    this.region = region;
    this.affected = affected;
  }

  /** Of the region that leads most of the conversations, or of the one that is named; nothing is broken yet. */
  static async plan(tools: OutageTools, conversations: readonly string[], named?: string): Promise<Outage> {
    const led = new Map<string, Led>();
    const [witness] = tools.fleet.regions;
    await eachOf(conversations, ASKED_AT_ONCE, async (conversation) => {
      led.set(conversation, await locate(tools, witness as string, conversation));
    });
    const region = named ?? mostOften([...led.values()].map((leader) => leader.region));
    const affected = [...led].flatMap(([name, leader]) => (leader.region === region ? [[name, leader.epoch] as const] : []));
    return new Outage(tools, region, new Map(affected));
  }

  /** When the region was lost, by the monotonic clock. */
  get killedMs(): number {
    return this.#killedMs;
  }

  async kill(): Promise<void> {
    this.#killedMs = this.#tools.clock.monotonicMs();
    await this.#tools.breaker.kill(this.region);
  }

  /** Waits until others lead, and records the loss. Answers the conversations for which that did not come. */
  async ledElsewhere(): Promise<readonly string[]> {
    const epochs: EpochChange[] = [];
    const endMs = this.#tools.clock.monotonicMs() + STEP_MS;
    await eachOf(this.affected, ASKED_AT_ONCE, async ([conversation, before]) => {
      const leader = await this.#led(conversation, endMs, ({ region, epoch }) => region !== this.region && epoch > before);
      if (leader !== undefined) epochs.push({ conversation, before: String(before), after: String(leader.epoch) });
    });
    this.#tools.recorder.fault({ kind: "kill", region: this.region, epochs });
    const risen = new Set(epochs.map(({ conversation }) => conversation));
    return [...this.affected.keys()].filter((conversation) => !risen.has(conversation));
  }

  async restore(): Promise<void> {
    await this.#tools.breaker.restore(this.region);
    this.#tools.recorder.fault({ kind: "restore", region: this.region, epochs: [] });
  }

  /** Waits until the restored region's replica lacks nothing. False: it still does. */
  async healed(): Promise<boolean> {
    const { clock, breaker } = this.#tools;
    const endMs = clock.monotonicMs() + STEP_MS;
    while (clock.monotonicMs() < endMs) {
      if (await breaker.isWhole(this.region)) return true;
      await sleep(clock, POLL_MS);
    }
    return false;
  }

  /** Waits until the restored region leads again what it led. False: it does not lead all of it. */
  async ledAgain(): Promise<boolean> {
    const endMs = this.#tools.clock.monotonicMs() + STEP_MS;
    let isBack = true;
    await eachOf(this.affected.keys(), ASKED_AT_ONCE, async (conversation) => {
      isBack = (await this.#led(conversation, endMs, ({ region }) => region === this.region)) !== undefined && isBack;
    });
    return isBack;
  }

  /** Who leads the conversation once it is as wanted; undefined if that does not come. Asked from a region that is not lost. */
  async #led(conversation: string, endMs: number, isWanted: (led: Led) => boolean): Promise<Led | undefined> {
    const { clock, fleet } = this.#tools;
    const witness = fleet.regions.find((region) => region !== this.region) ?? this.region;
    while (clock.monotonicMs() < endMs) {
      const led = await locate(this.#tools, witness, conversation).catch(unlessFinal);
      if (led !== undefined && isWanted(led)) return led;
      await sleep(clock, POLL_MS);
    }
    return undefined;
  }
}

async function locate({ fleet, breaker }: OutageTools, witness: string, conversation: string): Promise<Led> {
  const { leader, epoch } = await fleet.client(witness).client.locate(conversation);
  const region = breaker.regionOf(leader);
  if (region !== undefined) return { region, epoch };
  throw new MeridianError("NOT_FOUND", `${conversation} is led by ${JSON.stringify(leader)}, a node of none of the regions`);
}

/** While nobody leads, nobody can say who does. */
function unlessFinal(thrown: unknown): undefined {
  const error = MeridianError.from(thrown);
  if (error.retry === "never") throw error;
}

function mostOften(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const [first] = [...counts].sort(([, one], [, other]) => other - one);
  return first?.[0] ?? "";
}
