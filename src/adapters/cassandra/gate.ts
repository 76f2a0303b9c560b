import { Deferred } from "../../kernel/deferred.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../ports/clock.ts";

/** By how much an answer changes how many go together: about a quarter up or the whole down in one round trip. */
const UP = 0.25;
const DOWN = 1;

/**
 * How many statements go to Cassandra together; the others wait here, in the order of their coming.
 *
 * A statement that is not answered in time is tried again elsewhere. When Cassandra is merely slow, that is the worst one
 * can do: each try makes all of them later, and in the end everything is tried three times and nothing is in time. So the
 * gate watches how much of its time a statement takes: it lets more go while they take less than half, and fewer when they
 * take more than three quarters. What waits here costs Cassandra nothing.
 */
export class Gate {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #limit: number = LIMITS.cassandraInFlightFirst;
  #inside = 0;
  readonly #waiting = new Set<Deferred<void>>();

  constructor(options: { readonly clock: Pick<Clock, "monotonicMs"> }) {
    this.#clock = options.clock;
  }

  /** `tryMs` is the time that the work should take. Rejects with OVERLOADED, without beginning, when too much waits already. */
  async run<T>(tryMs: number, work: () => Promise<T>): Promise<T> {
    await this.#enter();
    const startedMs = this.#clock.monotonicMs();
    let isDone = false;
    try {
      const result = await work();
      isDone = true;
      return result;
    } finally {
      this.#learn((this.#clock.monotonicMs() - startedMs) / tryMs, isDone);
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#inside < Math.floor(this.#limit)) {
      this.#inside += 1;
      return;
    }
    if (this.#waiting.size >= LIMITS.cassandraQueue) {
      throw new MeridianError("OVERLOADED", `${LIMITS.cassandraQueue} statements wait for Cassandra already`, {
        advice: "Cassandra is too slow for what this node asks of it: look at its load, or add nodes to it.",
      });
    }
    const turn = new Deferred<void>();
    this.#waiting.add(turn);
    await turn.promise;
  }

  /** A failure that comes at once says nothing of the load. */
  #learn(share: number, isDone: boolean): void {
    if (share > 0.75) this.#limit = Math.max(LIMITS.cassandraInFlightLeast, this.#limit - DOWN);
    else if (share < 0.5 && isDone && this.#waiting.size > 0)
      this.#limit = Math.min(LIMITS.cassandraInFlightMost, this.#limit + UP);
  }

  #leave(): void {
    this.#inside -= 1;
    for (const next of this.#waiting) {
      if (this.#inside >= Math.floor(this.#limit)) return;
      this.#waiting.delete(next);
      this.#inside += 1;
      next.resolve();
    }
  }
}
