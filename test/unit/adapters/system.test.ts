import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SystemClock } from "../../../src/adapters/system/clock.ts";
import { SystemRandom } from "../../../src/adapters/system/random.ts";
import { ConsoleTelemetry } from "../../../src/adapters/system/telemetry.ts";

describe("SystemClock", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: Date.UTC(2026, 0, 1), toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it("reads UTC with the bound that was stated for it", () => {
    const clock = new SystemClock({ errorMs: 40 });

    expect(clock.time()).toEqual({ synchronised: true, utcMs: Date.UTC(2026, 0, 1), errorMs: 40 });
    expect(clock.wallMs()).toBe(Date.UTC(2026, 0, 1));
    expect(() => new SystemClock({ errorMs: 0 })).toThrow(/above 0/);
  });

  it("fires once, never early, and not after it was cancelled", async () => {
    const clock = new SystemClock({ errorMs: 1 });
    const fired: number[] = [];
    const start = clock.monotonicMs();
    clock.after(10.5, () => fired.push(clock.monotonicMs() - start));
    const cancel = clock.after(10, () => fired.push(-1));
    cancel();
    cancel();

    await vi.advanceTimersByTimeAsync(10);
    expect(fired).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(fired).toEqual([11]);
  });

  it("waits again when the timer itself is early", async () => {
    const clock = new SystemClock({ errorMs: 1 });
    let nowMs = 0;
    vi.spyOn(performance, "now").mockImplementation(() => nowMs);
    let fired = 0;
    clock.after(10, () => {
      fired += 1;
    });

    nowMs = 9.7;
    await vi.advanceTimersByTimeAsync(10);
    expect(fired).toBe(0);
    nowMs = 10.7;
    await vi.advanceTimersByTimeAsync(1);
    expect(fired).toBe(1);
    vi.restoreAllMocks();
  });

  it("waits longer than Node's timers can, and can be cancelled in the middle", async () => {
    const clock = new SystemClock({ errorMs: 1 });
    const days40 = 40 * 86_400_000;
    const fired: string[] = [];
    clock.after(days40, () => fired.push("a"));
    const cancel = clock.after(days40, () => fired.push("b"));

    await vi.advanceTimersByTimeAsync(days40 - 1);
    expect(fired).toEqual([]);
    cancel();
    await vi.advanceTimersByTimeAsync(1);
    expect(fired).toEqual(["a"]);
  });

  it("gives a turn to what is ready now", async () => {
    const order: string[] = [];
    const turn = new SystemClock({ errorMs: 1 }).nextTurn().then(() => order.push("turn"));
    setImmediate(() => order.push("ready before"));
    await Promise.resolve().then(() => order.push("microtask"));

    await turn;

    expect(order[0]).toBe("microtask");
    expect(order).toContain("turn");
  });
});

describe("SystemRandom", () => {
  it("draws integers of 32 bits and bytes, and never the same twice in a row", () => {
    const random = new SystemRandom();
    const draws = Array.from({ length: 100 }, () => random.u32());

    expect(draws.every((draw) => Number.isInteger(draw) && draw >= 0 && draw < 2 ** 32)).toBe(true);
    expect(new Set(draws).size).toBeGreaterThan(95);
    expect(random.bytes(16)).toHaveLength(16);
    expect(Buffer.from(random.bytes(16)).equals(random.bytes(16))).toBe(false);
  });
});

describe("ConsoleTelemetry", () => {
  it("writes a line of JSON an event, from its level up, bigints as text", () => {
    const lines: string[] = [];
    const telemetry = new ConsoleTelemetry({ level: "info", write: (line) => lines.push(line) });

    telemetry.log("debug", "too.quiet");
    telemetry.log("info", "lease.won", { epoch: 2n ** 60n, ms: 3, text: "a\nb", none: undefined });
    telemetry.log("error", "lease.lost");

    expect(lines).toHaveLength(2);
    expect(lines.every((line) => line.endsWith("\n") && line.indexOf("\n") === line.length - 1)).toBe(true);
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      level: "info",
      event: "lease.won",
      epoch: "1152921504606846976",
      ms: 3,
      text: "a\nb",
    });
  });

  it("adds its counters up", () => {
    const telemetry = new ConsoleTelemetry({ level: "error" });

    telemetry.count("sends");
    telemetry.count("sends", 4);
    telemetry.count("acks");

    expect([...telemetry.counters()]).toEqual([
      ["sends", 5],
      ["acks", 1],
    ]);
  });
});
