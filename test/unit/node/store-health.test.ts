import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { StoreHealth } from "../../../src/node/store-health.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

/** A store whose next reads end as the test says. */
function watched() {
  const clock = new VirtualClock();
  const state = { read: async (): Promise<bigint> => 0n };
  const store = { loadEpochMark: () => state.read() };
  const health = new StoreHealth({ store, clock, telemetry: new MemoryTelemetry() });
  health.start();
  return { clock, state, health };
}

describe("the store's health", () => {
  it("is good while small reads succeed", async () => {
    const { clock, health } = watched();
    await clock.advance(10 * LIMITS.storeHealthMs);
    expect(health.fault()).toBeUndefined();
    await clock.until(health.stop());
  });

  it("is bad after the second read in a row that failed, and good again after one that did not", async () => {
    const { clock, state, health } = watched();
    await clock.advance(1);
    state.read = async () => {
      throw new Error("no majority");
    };
    await clock.advance(LIMITS.storeHealthMs);
    expect(health.fault()).toBeUndefined();
    await clock.advance(LIMITS.storeHealthMs);
    expect(health.fault()).toBe("the log's majority does not answer: no majority");
    state.read = async () => 0n;
    await clock.advance(LIMITS.storeHealthMs);
    expect(health.fault()).toBeUndefined();
    await clock.until(health.stop());
  });

  it("takes a read without an answer for a failed one, and stops while one is under way [G9]", async () => {
    const { clock, state, health } = watched();
    state.read = () => new Promise(() => {});
    await clock.advance(3 * (LIMITS.storeHealthMs + LIMITS.storeHealthAnswerMs));
    expect(health.fault()).toContain("had no answer");
    const before = clock.monotonicMs();
    await clock.until(health.stop());
    expect(clock.monotonicMs()).toBe(before);
  });
});
