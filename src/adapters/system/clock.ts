import { invariant } from "../../kernel/errors.ts";
import type { Clock, TimeReading } from "../../ports/clock.ts";

/** Node's timers take 31 bits of milliseconds and fire at once beyond that. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * The machine's own clocks. The monotonic one stands still while the machine is suspended, so leases look at the wall clock
 * too. Nothing here measures how wrong UTC is: whoever runs the node states a bound, and answers for it.
 */
export class SystemClock implements Clock {
  readonly #errorMs: number;

  /** `errorMs`: by how much the system's UTC may be wrong at most, in milliseconds, above 0. */
  constructor(options: { readonly errorMs: number }) {
    invariant(options.errorMs > 0, "the stated bound of the clock's error is above 0");
    this.#errorMs = options.errorMs;
  }

  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  time(): TimeReading {
    return { synchronised: true, utcMs: Date.now(), errorMs: this.#errorMs };
  }

  after(delayMs: number, fire: () => void): () => void {
    const due = performance.now() + delayMs;
    let timer: NodeJS.Timeout;
    const wait = () => {
      const leftMs = due - performance.now();
      // Timers may fire a fraction of a millisecond early.
      if (leftMs <= 0) fire();
      else timer = setTimeout(wait, Math.min(Math.ceil(leftMs), TIMER_MS_MAX));
    };
    timer = setTimeout(wait, Math.min(Math.max(0, Math.ceil(delayMs)), TIMER_MS_MAX));
    return () => clearTimeout(timer);
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
