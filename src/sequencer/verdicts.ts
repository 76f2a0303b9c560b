import type { MeridianError } from "../kernel/errors.ts";
import type { Fate } from "../routing/leaders.ts";
import type { Pending } from "./pending.ts";

interface Placement {
  readonly seq: number;
  readonly item: Pending;
  readonly fate: Fate;
}

interface Refusal {
  readonly item: Pending;
  readonly error: MeridianError;
}

/**
 * What has been decided about messages and may not be said yet. A place is told once its seq is committed. A refusal is told
 * once this epoch has committed a batch of its own (R9): the barrier.
 */
export class Verdicts {
  /** In the order of their seqs. */
  #placements: Placement[] = [];
  /** Undefined once the barrier is passed. */
  #refusals: Refusal[] | undefined = [];
  #committedSeq: number;

  constructor(committedSeq: number) {
    this.#committedSeq = committedSeq;
  }

  /** Refusals wait for a batch. */
  get barrierDue(): boolean {
    return this.#refusals !== undefined && this.#refusals.length > 0;
  }

  place(seq: number, item: Pending, fate: Fate): void {
    if (seq <= this.#committedSeq) {
      item.fates.settle(item.index, fate);
      return;
    }
    this.#placements.push({ seq, item, fate });
    // Mostly it is the last one; a known key's place may be an earlier one.
    for (let at = this.#placements.length - 1; at > 0; at -= 1) {
      const [before, last] = [this.#placements[at - 1] as Placement, this.#placements[at] as Placement];
      if (before.seq <= last.seq) return;
      this.#placements[at - 1] = last;
      this.#placements[at] = before;
    }
  }

  refuse(item: Pending, error: MeridianError): void {
    if (this.#refusals === undefined) item.fates.settle(item.index, { kind: "refused", error });
    else this.#refusals.push({ item, error });
  }

  /** A batch of this epoch that ends at `seq` is committed, and the look after it was good. */
  committed(seq: number): void {
    this.#committedSeq = seq;
    let told = 0;
    for (let next = this.#placements[told]; next !== undefined && next.seq <= seq; next = this.#placements[told]) {
      next.item.fates.settle(next.item.index, next.fate);
      told += 1;
    }
    this.#placements.splice(0, told);
    const refusals = this.#refusals ?? [];
    this.#refusals = undefined;
    for (const { item, error } of refusals) item.fates.settle(item.index, { kind: "refused", error });
  }

  /** The leadership ended: nothing can be said of these any more. */
  fail(error: MeridianError): void {
    for (const { item } of [...this.#placements, ...(this.#refusals ?? [])]) item.fates.fail(error);
    this.#placements = [];
    this.#refusals = [];
  }
}
