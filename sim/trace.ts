import type { VirtualClock } from "./clock.ts";

export interface Step {
  readonly atMs: number;
  /** How much had happened before, hidden things included: two runs that differ anywhere differ here. */
  readonly events: number;
  readonly text: string;
}

/** What happened, in words. */
export class Trace {
  readonly steps: Step[] = [];
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  say(text: string): void {
    this.steps.push({ atMs: this.#clock.monotonicMs(), events: this.#clock.events, text });
  }

  /** Byte for byte the same for the same history. */
  toString(): string {
    return this.steps.map(({ atMs, events, text }) => `${atMs} ${events} ${text}\n`).join("");
  }
}

/** `12.345 s  text`. */
export function lineOf({ atMs, text }: Step): string {
  return `${(atMs / 1_000).toFixed(3).padStart(8)} s  ${text}`;
}
