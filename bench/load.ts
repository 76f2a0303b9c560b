/** Keeps `inFlight` pieces of work under way for `durationMs`. `once` answers how many messages it did; this, how many a second. */
export async function saturate(inFlight: number, durationMs: number, once: (worker: number) => Promise<number>): Promise<number> {
  const startedMs = performance.now();
  const endsAtMs = startedMs + durationMs;
  let messages = 0;
  const work = async (worker: number) => {
    while (performance.now() < endsAtMs) {
      const done = await once(worker);
      messages += done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
  return (messages / (performance.now() - startedMs)) * 1_000;
}

/** Does `count` pieces of work, `inFlight` at once. */
export async function each(count: number, inFlight: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const run = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, run));
}

/** A seq for each conversation that only grows: the batches of several contenders never meet. */
export class Seqs {
  readonly #next = new Map<string, number>();

  /** The first seq of the next `count`. */
  take(conversation: string, count: number): number {
    const first = this.#next.get(conversation) ?? 1;
    this.#next.set(conversation, first + count);
    return first;
  }
}
