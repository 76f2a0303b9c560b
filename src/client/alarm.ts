import type { Timers } from "../kernel/timing.ts";

/** One timer for many deadlines: it rings at the earliest moment asked for, and its owner then looks what is due. */
export class Alarm {
  readonly #timers: Timers & { monotonicMs(): number };
  readonly #ring: () => void;
  #set: { readonly atMs: number; readonly cancel: () => void } | undefined;

  constructor(timers: Timers & { monotonicMs(): number }, ring: () => void) {
    this.#timers = timers;
    this.#ring = ring;
  }

  /** `atMs` by the monotonic clock; positive infinity is never. */
  ringBy(atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY || (this.#set !== undefined && this.#set.atMs <= atMs)) return;
    this.#set?.cancel();
    const cancel = this.#timers.after(Math.max(0, atMs - this.#timers.monotonicMs()), () => {
      this.#set = undefined;
      this.#ring();
    });
    this.#set = { atMs, cancel };
  }

  off(): void {
    this.#set?.cancel();
    this.#set = undefined;
  }
}
