/** Each bucket is this much wider than the one before, so a quantile is wrong by 1 % at most. */
const GROWTH = 1.02;
const SCALE = 1 / Math.log(GROWTH);

/** Durations, counted by size: a million of them take no more memory than a hundred. */
export class Latencies {
  readonly #buckets: number[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    const bucket = Math.ceil(Math.log(Math.max(0, ms) + 1) * SCALE);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /** The duration that a share of all, such as 0.99, do not exceed; 0 if there is none. */
  quantileMs(share: number): number {
    let left = Math.ceil(this.#count * share);
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count ?? 0;
      if (left <= 0) return GROWTH ** Math.max(0, bucket - 0.5) - 1;
    }
    return 0;
  }
}
