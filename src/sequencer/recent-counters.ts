/**
 * The seqs of a producer's last counters. The counters in a log follow each other without a gap, so a list and the counter of
 * its first seq are enough: a Map, in which each message enters one and removes another, took an eighth of a node's processor time.
 */
export class RecentCounters {
  #seqs: number[] = [];
  /** Where the oldest one stands that is remembered. */
  #head = 0;
  #oldest = 1;

  /** The seq of this counter, if it is remembered. */
  get(counter: number): number | undefined {
    return counter < this.#oldest ? undefined : this.#seqs[this.#head + counter - this.#oldest];
  }

  /** The next counter; with any other one, what was remembered is forgotten. */
  add(counter: number, seq: number): void {
    if (counter !== this.#oldest + this.#seqs.length - this.#head) {
      this.#seqs = [];
      this.#head = 0;
      this.#oldest = counter;
    }
    this.#seqs.push(seq);
  }

  /** Forgets this counter if it is the oldest and has this seq. */
  forget(counter: number, seq: number): void {
    if (counter !== this.#oldest || this.#seqs[this.#head] !== seq) return;
    this.#oldest += 1;
    this.#head += 1;
    // What is left moves up once it is no more than what was forgotten: so each seq is moved once, on the average.
    if (2 * this.#head < this.#seqs.length) return;
    this.#seqs = this.#seqs.slice(this.#head);
    this.#head = 0;
  }
}
