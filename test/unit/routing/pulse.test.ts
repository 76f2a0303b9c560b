import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import type { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { keepPulse } from "../../../src/routing/pulse.ts";

function setUp() {
  const clock = new VirtualClock();
  const abort = new AbortController();
  const state: { heardMs: number; beats: number[]; end: MeridianError | "aborted" | undefined } = {
    heardMs: 0,
    beats: [],
    end: undefined,
  };
  const begin = (heardMs = () => state.heardMs) => {
    const beat = () => state.beats.push(clock.monotonicMs());
    void keepPulse({ clock, signal: abort.signal, beat, heardMs }).then((end) => {
      state.end = end ?? "aborted";
    });
  };
  return { clock, abort, state, begin };
}

describe("the pulse of a link", () => {
  it("beats every second while the far side is heard", async () => {
    const { clock, abort, state, begin } = setUp();
    begin(() => clock.monotonicMs() - 900);
    await clock.advance(4_500);
    expect(state.beats).toEqual([1_000, 2_000, 3_000, 4_000]);
    abort.abort();
    await clock.advance(10_000);
    expect([state.beats.length, state.end]).toEqual([4, "aborted"]);
  });

  it("is over exactly when the far side was silent for 3 s", async () => {
    const { clock, state, begin } = setUp();
    state.heardMs = 0;
    begin();
    await clock.advance(1_500);
    state.heardMs = 1_500;
    await clock.advance(LIMITS.feedSilenceMs - 1);
    expect(state.end).toBeUndefined();
    await clock.advance(1);
    expect(state.end).toMatchObject({ code: "UNAVAILABLE", retry: "elsewhere" });
  });

  it("hears what had arrived before it calls the far side silent: this process may have stood still itself", async () => {
    const { clock, abort, state, begin } = setUp();
    begin();
    // The timers of a process that wakes up come before its sockets.
    clock.after(LIMITS.feedSilenceMs, () => clock.after(0, () => Object.assign(state, { heardMs: clock.monotonicMs() })));
    await clock.advance(LIMITS.feedSilenceMs + 100);
    expect(state.end).toBeUndefined();
    abort.abort();
    await clock.advance(1);
  });
});
