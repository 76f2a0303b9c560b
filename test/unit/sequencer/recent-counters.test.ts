import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RecentCounters } from "../../../src/sequencer/recent-counters.ts";

describe("the recent counters of a producer", () => {
  it("knows what a map of them would know, whatever comes in and falls out", () => {
    const steps = fc.array(fc.constantFrom("in", "in", "out"), { maxLength: 400 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1_500 }), (all, first, burst) => {
        const recent = new RecentCounters();
        const map = new Map<number, number>();
        let next = first;
        for (const step of all) {
          for (let i = 0; i < burst; i += 1) {
            if (step === "in") {
              recent.add(next, 7 * next);
              map.set(next, 7 * next);
              next += 1;
            } else {
              const [oldest] = map.keys();
              if (oldest === undefined) break;
              recent.forget(oldest, 7 * oldest);
              map.delete(oldest);
            }
          }
          const [oldest = next] = map.keys();
          for (const counter of [0, 1, oldest - 1, oldest, next - 1, next]) expect(recent.get(counter)).toBe(map.get(counter));
        }
      }),
      { numRuns: 30 },
    );
  });

  it("forgets only what stands at its place", () => {
    const recent = new RecentCounters();
    recent.add(5, 50);
    recent.add(6, 60);

    recent.forget(6, 60);
    recent.forget(5, 49);

    expect([recent.get(5), recent.get(6)]).toEqual([50, 60]);
  });

  it("begins anew at a counter that does not follow", () => {
    const recent = new RecentCounters();
    recent.add(1, 10);

    recent.add(4, 40);
    recent.add(5, 50);

    expect([1, 3, 4, 5, 6].map((counter) => recent.get(counter))).toEqual([undefined, undefined, 40, 50, undefined]);
  });
});
