import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../../sim/clock.ts";
import { SkewedClock } from "../../../../src/adapters/wan/skewed-clock.ts";

describe("SkewedClock", () => {
  it("is wrong in UTC and does not know it, and right in durations", async () => {
    const clock = new VirtualClock();
    const skewed = new SkewedClock(clock);
    skewed.skewMs = 7_000;
    expect(skewed.wallMs() - clock.wallMs()).toBe(7_000);
    const [right, wrong] = [clock.time(), skewed.time()];
    if (!right.synchronised || !wrong.synchronised) throw new Error("both are synchronised");
    expect([wrong.utcMs - right.utcMs, wrong.errorMs]).toEqual([7_000, right.errorMs]);
    expect(skewed.monotonicMs()).toBe(clock.monotonicMs());
    let fired = false;
    skewed.after(10, () => {
      fired = true;
    });
    await clock.advance(10);
    expect(fired).toBe(true);
  });
});
