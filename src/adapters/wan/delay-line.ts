import type { Clock } from "../../ports/clock.ts";

interface Passage<T> {
  readonly item: T;
  readonly dueMs: number;
}

/**
 * One direction of a long way: what is put in comes out `delayMs` later, in the same order. It keeps one timer, for what is
 * due first, and hands over everything that is due when it fires: a thousand small items cost one timer a millisecond, and
 * two timers that a machine fires in the wrong order cannot swap two items. A way of 0 ms hands over at once.
 */
export class DelayLine<T> {
  readonly #clock: Pick<Clock, "monotonicMs" | "after">;
  readonly #delayMs: number;
  readonly #deliver: (item: T) => void;
  #passages: Passage<T>[] = [];
  /** What was handed over at the front of the list and has not been cut off yet. */
  #head = 0;
  #cancel: (() => void) | undefined;

  constructor(options: {
    readonly clock: Pick<Clock, "monotonicMs" | "after">;
    readonly delayMs: number;
    readonly deliver: (item: T) => void;
  }) {
    this.#clock = options.clock;
    this.#delayMs = options.delayMs;
    this.#deliver = options.deliver;
  }

  /** How many items are on their way. */
  get size(): number {
    return this.#passages.length - this.#head;
  }

  push(item: T): void {
    if (this.#delayMs === 0) {
      this.#deliver(item);
      return;
    }
    this.#passages.push({ item, dueMs: this.#clock.monotonicMs() + this.#delayMs });
    this.#arm();
  }

  /** Everything that is on its way is lost, and is given to whoever lost it. */
  clear(): T[] {
    this.#cancel?.();
    this.#cancel = undefined;
    const lost = this.#passages.slice(this.#head);
    this.#passages = [];
    this.#head = 0;
    return lost.map(({ item }) => item);
  }

  #arm(): void {
    const first = this.#passages[this.#head];
    if (first === undefined || this.#cancel !== undefined) return;
    this.#cancel = this.#clock.after(Math.max(0, first.dueMs - this.#clock.monotonicMs()), () => this.#fire());
  }

  #fire(): void {
    this.#cancel = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (let next = this.#passages[this.#head]; next !== undefined && next.dueMs <= nowMs; next = this.#passages[this.#head]) {
      this.#head += 1;
      this.#deliver(next.item);
    }
    // Cut off only when at least half of the list is gone, so that each item is moved once at most on average.
    if (this.#head * 2 >= this.#passages.length) {
      this.#passages = this.#passages.slice(this.#head);
      this.#head = 0;
    }
    this.#arm();
  }
}
