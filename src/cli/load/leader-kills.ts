import { sleep } from "../../kernel/timing.ts";
import type { Gate } from "./gate.ts";
import { Outage, type OutageTools } from "./outage.ts";
import type { Tally } from "./tally.ts";

/** What one loss of a leading region did. */
export interface KillReport {
  readonly atPercent: number;
  readonly region: string;
  /** Conversations that the region led. */
  readonly conversations: number;
  /** Sends to these that had no end when the region was gone. */
  readonly inFlight: number;
  /** Until all of them were led elsewhere. */
  readonly ledElsewhereMs: number;
  readonly restoredMs: number;
  /** Why the kill proves nothing, or what did not come back. */
  readonly problem?: string;
}

export interface LeaderKillsOptions extends OutageTools {
  readonly conversations: readonly string[];
  readonly tally: Tally;
  readonly gate: Gate;
  readonly inFlight: (conversations: Iterable<string>) => number;
  /** Of the messages that are to be committed. */
  readonly atPercent: readonly number[];
  readonly messages: number;
  readonly restoreAfterMs: number;
  readonly signal: AbortSignal;
}

/** Loses the region that leads most at given shares of a load's progress, one loss after the other. */
export class LeaderKills {
  readonly #options: LeaderKillsOptions;
  readonly reports: KillReport[] = [];
  #lost: string | undefined;
  #isOver = false;

  constructor(options: LeaderKillsOptions) {
    this.#options = options;
  }

  /** The region that is lost now. */
  get lost(): string | undefined {
    return this.#lost;
  }

  async run(): Promise<void> {
    const { atPercent, signal, gate } = this.#options;
    const percents = [...atPercent].sort((a, b) => a - b);
    try {
      for (const [at, percent] of percents.entries()) {
        const isReached = await this.#reached(percent);
        if (signal.aborted) return;
        this.reports.push(isReached ? await this.#kill(percent, percents[at + 1]) : neverReached(percent));
      }
    } finally {
      this.#isOver = true;
      gate.open();
    }
  }

  /** From then on senders wait for the kill: a short load would be over while it is found out who leads. */
  async #reached(percent: number): Promise<boolean> {
    const { messages, tally, gate } = this.#options;
    const isReached = await tally.reached(Math.ceil((messages * percent) / 100));
    if (isReached && !this.#isOver) gate.close();
    return isReached;
  }

  /** While one region is lost, the load goes on as far as the next kill, and no further. */
  async #kill(atPercent: number, next: number | undefined): Promise<KillReport> {
    const { clock, restoreAfterMs, signal } = this.#options;
    const { outage, inFlight } = await this.#strike();
    if (next !== undefined) void this.#reached(next);
    let left: readonly string[] = [];
    let ledElsewhereMs = 0;
    try {
      left = await outage.ledElsewhere();
      ledElsewhereMs = clock.monotonicMs() - outage.killedMs;
      await sleep(clock, restoreAfterMs - ledElsewhereMs, signal);
    } finally {
      await outage.restore();
      this.#lost = undefined;
    }
    const restoredMs = clock.monotonicMs() - outage.killedMs;
    const isHealed = await outage.healed();
    const { region, affected } = outage;
    const problem = problemOf({ left, inFlight, isHealed, conversations: affected.size });
    const report = { atPercent, region, conversations: affected.size, inFlight, ledElsewhereMs, restoredMs };
    return problem === undefined ? report : { ...report, problem };
  }

  /** Senders go on just before the kill, so that it meets sends that are under way. */
  async #strike(): Promise<{ readonly outage: Outage; readonly inFlight: number }> {
    const { gate, conversations, inFlight, clock } = this.#options;
    try {
      const outage = await Outage.plan(this.#options, conversations);
      gate.open();
      await sleep(clock, 0);
      this.#lost = outage.region;
      await outage.kill();
      return { outage, inFlight: inFlight(outage.affected.keys()) };
    } finally {
      gate.open();
    }
  }
}

function problemOf(facts: {
  readonly left: readonly string[];
  readonly inFlight: number;
  readonly isHealed: boolean;
  readonly conversations: number;
}): string | undefined {
  const { left, inFlight, isHealed, conversations } = facts;
  if (conversations === 0) return "the kill had no effect: the region led nothing";
  if (left.length > 0) return `the kill had no effect on ${left.join(", ")}: no other region led with a higher epoch`;
  if (inFlight === 0) return "the kill had no effect: no send was in flight";
  return isHealed ? undefined : "the replica of the restored region still lacks something";
}

function neverReached(atPercent: number): KillReport {
  const nothing = { region: "", conversations: 0, inFlight: 0, ledElsewhereMs: 0, restoredMs: 0 };
  return { atPercent, ...nothing, problem: `there was no kill: fewer than ${atPercent} % of the messages were committed` };
}
