import type { Clock, TimeReading } from "../../ports/clock.ts";

/** A clock whose UTC can be put wrong on purpose, without it knowing: it goes on stating the bound that it had. */
export class SkewedClock implements Clock {
  readonly #clock: Clock;
  /** By how much UTC is wrong, in milliseconds. */
  skewMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  wallMs(): number {
    return this.#clock.wallMs() + this.skewMs;
  }

  time(): TimeReading {
    const time = this.#clock.time();
    return time.synchronised ? { ...time, utcMs: time.utcMs + this.skewMs } : time;
  }

  after(delayMs: number, fire: () => void): () => void {
    return this.#clock.after(delayMs, fire);
  }

  nextTurn(): Promise<void> {
    return this.#clock.nextTurn();
  }
}
