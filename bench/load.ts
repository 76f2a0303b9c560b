export interface Load<T> {
  /** Pieces of work under way at any time. */
  readonly inFlight: number;
  readonly durationMs: number;
  /** One piece of work. */
  readonly once: (worker: number) => Promise<T>;
  /** How many messages a finished piece was. */
  readonly messages: (done: T) => number;
}

/**
 * Keeps work under way for `durationMs`; answers messages a second. Nothing here takes memory for each piece: where thousands
 * are under way, that would be measured.
 */
export async function saturate<T>({ inFlight, durationMs, once, messages }: Load<T>): Promise<number> {
  const startedMs = performance.now();
  const endsAtMs = startedMs + durationMs;
  let total = 0;
  const work = async (worker: number) => {
    while (performance.now() < endsAtMs) {
      const done = await once(worker);
      total += messages(done);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
  return (total / (performance.now() - startedMs)) * 1_000;
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
