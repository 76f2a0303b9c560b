import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

export interface PumpOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Puts on the wire what may go. */
  readonly run: () => void;
}

const PAUSE = { firstMs: 50, maxMs: 5_000 };

/** When a window puts something on the wire: soon, or after a pause that grows with every failure in a row. */
export class Pump {
  readonly #options: PumpOptions;
  #isDue = false;
  #failures = 0;
  #cancelPause: (() => void) | undefined;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  get isPaused(): boolean {
    return this.#cancelPause !== undefined;
  }

  /** Whether the next run has its moment already: then there is nothing to ask for. */
  get isDue(): boolean {
    return this.#isDue || this.isPaused;
  }

  /** At once while nothing is under way (after the sends of this very moment), else with what the turn brings. */
  soon(isQuiet: boolean): void {
    if (!this.isDue) this.after(isQuiet ? Promise.resolve() : this.#options.clock.nextTurn());
  }

  after(moment: Promise<void>): void {
    if (this.#isDue) return;
    this.#isDue = true;
    void moment.then(() => {
      this.#isDue = false;
      this.#options.run();
    });
  }

  /** Nothing more for a while, longer with each call until something has succeeded. */
  pause(): void {
    if (this.isPaused) return;
    const { clock, random } = this.#options;
    this.#cancelPause = clock.after(backoffMs(this.#failures, PAUSE, random.u32()), () => {
      this.#cancelPause = undefined;
      this.#options.run();
    });
    this.#failures += 1;
  }

  endPause(): void {
    this.#cancelPause?.();
    this.#cancelPause = undefined;
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
