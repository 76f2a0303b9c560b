interface Sum {
  readonly count: number;
  readonly totalMs: number;
}

/** How long batches take from their leader to the disks of the replicas, by region, since it was last asked. */
export class ReplicationLag {
  #sums = new Map<string, Sum>();

  add(region: string, ms: number): void {
    const { count, totalMs } = this.#sums.get(region) ?? { count: 0, totalMs: 0 };
    this.#sums.set(region, { count: count + 1, totalMs: totalMs + ms });
  }

  /** The mean of each region in milliseconds; none for a region whose replica was written nothing. */
  take(): ReadonlyMap<string, number> {
    const sums = this.#sums;
    this.#sums = new Map();
    return new Map([...sums].map(([region, { count, totalMs }]) => [region, totalMs / count]));
  }
}
