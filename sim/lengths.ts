import { LIMITS } from "../src/kernel/limits.ts";
import { BOUNDS } from "./bounds.ts";

interface Watched {
  readonly what: string;
  readonly limits: readonly string[];
  readonly most: number;
  readonly length: () => number;
}

declare global {
  /** Where what is made while a history runs says how long it is; see sim/bounds.ts. */
  var simulatedLengths: Lengths | undefined;
}

/** How long everything is that one history has made and that has a limit. Also what its processes have left behind: that stays as it was. */
export class Lengths {
  readonly #watched: Watched[] = [];
  readonly #breach: (sentence: string) => void;

  /** From now on what is made is watched here. */
  constructor(breach: (sentence: string) => void) {
    this.#breach = breach;
    globalThis.simulatedLengths = this;
  }

  watch(bound: number, length: () => number): void {
    const { what = "", limits = [], more = 0 } = BOUNDS[bound] ?? {};
    this.#watched.push({ what, limits, length, most: limits.reduce((sum, limit) => sum + LIMITS[limit], more) });
  }

  /** Says of the first thing that is too long that it is; after that nothing is looked at any more. */
  look(): void {
    for (const { what, limits, most, length } of this.#watched) {
      const now = length();
      if (now <= most) continue;
      this.#watched.length = 0;
      return this.#breach(`${what} are ${now}, and may be ${most} (${limits.join(" and ")})`);
    }
  }
}
