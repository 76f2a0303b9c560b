import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Batch, Watermark } from "../log/batch.ts";
import type { Clock } from "../ports/clock.ts";

/** The part of the log's reader that is needed here. */
export interface PageSource {
  page(conversation: string, after: number, known: Watermark, limitBytes?: number): Promise<readonly Batch[]>;
}

/**
 * The log, as the readers of a node share it: only so many pages are read together, in the order of asking, and readers
 * that want the same page share one read.
 */
export class Pages {
  readonly #source: PageSource;
  readonly #clock: Clock;
  #free: number = LIMITS.pagesAtOnce;
  /** Who waits for a place, with what cancels its deadline. */
  readonly #waiting = new Map<Deferred<void>, () => void>();
  readonly #reading = new Map<string, Promise<readonly Batch[]>>();

  constructor(options: { readonly source: PageSource; readonly clock: Clock }) {
    this.#source = options.source;
    this.#clock = options.clock;
  }

  /**
   * Verified batches from the one that holds `after + 1` on, about `limitBytes` of them but at least one. Asked only where
   * `after < known.seq`. Throws UNAVAILABLE or OVERLOADED when that takes longer than 10 s, and CORRUPT.
   */
  read(conversation: string, after: number, known: Watermark, limitBytes: number): Promise<readonly Batch[]> {
    const key = `${after} ${limitBytes} ${conversation}`;
    const running = this.#reading.get(key);
    if (running !== undefined) return running;
    const reading = this.#read(conversation, after, known, limitBytes).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #read(conversation: string, after: number, known: Watermark, limitBytes: number): Promise<readonly Batch[]> {
    await this.#place();
    try {
      const what = `reading ${JSON.stringify(conversation)} after seq ${after}`;
      const reading = this.#source.page(conversation, after, known, limitBytes);
      const page = await withDeadline(this.#clock, LIMITS.callDeadlineMs, what, reading);
      if (page.length > 0) return page;
      throw new MeridianError("UNAVAILABLE", `${what} found nothing, though it is committed up to seq ${known.seq}`);
    } finally {
      this.#leave();
    }
  }

  async #place(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const place = new Deferred<void>();
    const cancel = this.#clock.after(LIMITS.callDeadlineMs, () => {
      this.#waiting.delete(place);
      place.reject(new MeridianError("OVERLOADED", "too many readers of this node wait for the log"));
    });
    this.#waiting.set(place, cancel);
    await place.promise;
  }

  #leave(): void {
    for (const [next, cancel] of this.#waiting) {
      this.#waiting.delete(next);
      cancel();
      next.resolve();
      return;
    }
    this.#free += 1;
  }
}
