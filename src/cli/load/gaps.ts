/** The longest time between two beats. */
export class Gaps {
  #lastMs: number;
  #longestMs = 0;

  constructor(nowMs: number) {
    this.#lastMs = nowMs;
  }

  beat(nowMs: number): void {
    this.#longestMs = this.longestMs(nowMs);
    this.#lastMs = nowMs;
  }

  /** The pause that goes on counts as well. */
  longestMs(nowMs: number): number {
    return Math.max(this.#longestMs, nowMs - this.#lastMs);
  }

  /** Forgets the pauses that are over; the one that goes on began when it began. */
  restart(): void {
    this.#longestMs = 0;
  }
}
