import { LIMITS } from "../kernel/limits.ts";
import type { Batch } from "../log/batch.ts";

/** A batch on its way to the application. */
export interface Arrival {
  readonly batch: Batch;
  /** Bytes of the node's credit that it used up; 0 if it was fetched. */
  readonly credit: number;
}

/**
 * Batches that came before their turn: they wait for the hole before them to be filled, by live traffic or by a fetch.
 * Bounded by messages and bytes: when it is full, the batch furthest ahead is dropped. That loses nothing, because
 * `promisedSeq` remembers that it exists: the range is fetched again when its turn comes.
 */
export class ReorderBuffer {
  readonly #byFirstSeq = new Map<number, Arrival>();
  #messages = 0;
  #bytes = 0;
  #credit = 0;
  #promisedSeq = 0;

  /** The highest seq that ever came, whether it is still here or not. */
  get promisedSeq(): number {
    return this.#promisedSeq;
  }

  /** The lowest seq that waits here. */
  get firstSeq(): number | undefined {
    return this.size === 0 ? undefined : Math.min(...this.#byFirstSeq.keys());
  }

  get size(): number {
    return this.#byFirstSeq.size;
  }

  get credit(): number {
    return this.#credit;
  }

  /** Answers what was dropped for it: another batch, this one, or nothing. */
  park(arrival: Arrival): Arrival | undefined {
    const { firstSeq, lastSeq } = arrival.batch;
    this.#promisedSeq = Math.max(this.#promisedSeq, lastSeq);
    if (this.#byFirstSeq.has(firstSeq)) return arrival;
    this.#add(arrival);
    if (this.#messages <= LIMITS.reorderMessages && this.#bytes <= LIMITS.reorderBytes) return undefined;
    return this.#remove(Math.max(...this.#byFirstSeq.keys()));
  }

  /** Takes the batch whose turn it is, if it waits here: the one that holds `seq`. */
  take(seq: number): Arrival | undefined {
    if (this.#byFirstSeq.has(seq)) return this.#remove(seq);
    for (const [firstSeq, { batch }] of this.#byFirstSeq) {
      if (firstSeq <= seq && seq <= batch.lastSeq) return this.#remove(firstSeq);
    }
    return undefined;
  }

  /** Drops everything up to `seq`. */
  dropThrough(seq: number): readonly Arrival[] {
    const done = [...this.#byFirstSeq.values()].filter(({ batch }) => batch.lastSeq <= seq);
    for (const { batch } of done) this.#remove(batch.firstSeq);
    return done;
  }

  /** Forgets everything, what was promised included: it will be pushed again. */
  clear(): void {
    for (const firstSeq of [...this.#byFirstSeq.keys()]) this.#remove(firstSeq);
    this.#promisedSeq = 0;
  }

  #add(arrival: Arrival): void {
    this.#byFirstSeq.set(arrival.batch.firstSeq, arrival);
    this.#messages += arrival.batch.entries.length;
    this.#bytes += arrival.batch.bytes.length;
    this.#credit += arrival.credit;
  }

  #remove(firstSeq: number): Arrival {
    const arrival = this.#byFirstSeq.get(firstSeq) as Arrival;
    this.#byFirstSeq.delete(firstSeq);
    this.#messages -= arrival.batch.entries.length;
    this.#bytes -= arrival.batch.bytes.length;
    this.#credit -= arrival.credit;
    return arrival;
  }
}
