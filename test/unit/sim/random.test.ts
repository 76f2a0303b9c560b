import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../sim/random.ts";

describe("SeededRandom", () => {
  it("takes the same course from the same seed, on every machine and in every version", () => {
    const random = new SeededRandom(8841);

    expect(Array.from({ length: 4 }, () => random.u32())).toMatchInlineSnapshot(`
      [
        603388666,
        185646808,
        2439971580,
        4006239315,
      ]
    `);
    expect(new SeededRandom(7).bytes(32)).toEqual(new SeededRandom(7).bytes(32));
  });

  it("takes another course from another seed", () => {
    const first = new Set(Array.from({ length: 1_000 }, (_, seed) => new SeededRandom(seed).u32()));

    expect(first.size).toBe(1_000);
  });

  it("draws below a bound evenly", () => {
    const random = new SeededRandom(1);
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 60_000; i += 1) {
      const draw = random.below(6);
      counts[draw] = (counts[draw] ?? 0) + 1;
    }

    expect(counts.every((count) => count > 9_600 && count < 10_400)).toBe(true);
    expect(random.below(1)).toBe(0);
    expect(random.below(2 ** 32)).toBeLessThan(2 ** 32);
    expect(() => random.below(0)).toThrow(/has no answer/);
  });

  it("takes a chance as often as it says", () => {
    const random = new SeededRandom(2);
    let hits = 0;
    for (let i = 0; i < 10_000; i += 1) if (random.chance(3, 10)) hits += 1;

    expect(hits).toBeGreaterThan(2_800);
    expect(hits).toBeLessThan(3_200);
    expect([random.chance(0, 5), random.chance(5, 5)]).toEqual([false, true]);
  });
});
