import { invariant } from "../src/kernel/errors.ts";
import type { Random } from "../src/ports/random.ts";

/**
 * A generator whose whole course follows from its seed (sfc32, filled by splitmix32): the same seed gives the same numbers
 * on every machine. Probabilities are ratios of integers, never floats.
 */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Any integer; only its lower 32 bits count. */
  constructor(seed: number) {
    const draw = splitmix32(seed | 0);
    this.#a = draw();
    this.#b = draw();
    this.#c = draw();
    // The first outputs of two seeds that lie side by side are alike: they are thrown away.
    for (let i = 0; i < 12; i += 1) this.u32();
  }

  u32(): number {
    const out = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) | 0;
    return out >>> 0;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 1) bytes[i] = this.u32() & 0xff;
    return bytes;
  }

  /** A uniform integer in 0 ≤ x < n; n from 1 to 2³². */
  below(n: number): number {
    invariant(Number.isInteger(n) && n >= 1 && n <= 2 ** 32, `below(${n}) has no answer`);
    // Draws of the last, incomplete run of n would favour the small numbers.
    const fair = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const draw = this.u32();
      if (draw < fair) return draw % n;
    }
  }

  /** True `numerator` times out of `denominator`. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }
}

function splitmix32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}
