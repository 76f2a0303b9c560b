import type { Outcome } from "../../index.ts";
import { Latencies } from "./latencies.ts";

interface Milestone {
  readonly committed: number;
  readonly tell: (isReached: boolean) => void;
}

/** What became of a load's sends, and what reached each region. */
export class Tally {
  readonly counts = { committed: 0, rejected: 0, expired: 0, unknown: 0 };
  readonly acks = new Latencies();
  /** By region. */
  readonly deliveries: ReadonlyMap<string, Latencies>;
  #milestones: Milestone[] = [];
  #isOver = false;

  constructor(regions: readonly string[]) {
    this.deliveries = new Map(regions.map((region) => [region, new Latencies()]));
  }

  ended({ status }: Outcome, tookMs: number): void {
    this.counts[status] += 1;
    if (status !== "committed") return;
    this.acks.add(tookMs);
    this.#tell();
  }

  /** An outcome that was counted as unknown is known now. */
  resolved({ status }: Outcome): void {
    this.counts.unknown -= 1;
    this.counts[status] += 1;
  }

  delivered(region: string, tookMs: number): void {
    this.deliveries.get(region)?.add(tookMs);
  }

  /** Answers true once so many are committed, and false if the load ends before. */
  reached(committed: number): Promise<boolean> {
    if (this.#isOver || this.counts.committed >= committed) return Promise.resolve(this.counts.committed >= committed);
    return new Promise((tell) => this.#milestones.push({ committed, tell }));
  }

  /** All sends have ended. */
  over(): void {
    this.#isOver = true;
    for (const { tell } of this.#milestones.splice(0)) tell(false);
  }

  #tell(): void {
    if (!this.#milestones.some(({ committed }) => committed <= this.counts.committed)) return;
    const due = this.#milestones.filter(({ committed }) => committed <= this.counts.committed);
    this.#milestones = this.#milestones.filter((milestone) => !due.includes(milestone));
    for (const { tell } of due) tell(true);
  }
}
