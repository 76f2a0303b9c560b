import { describe, expect, it } from "vitest";
import { Drill } from "../../src/cli/load/drill.ts";
import { isPassed } from "../../src/cli/load/drill-summary.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { Recorder } from "../../src/verify/recorder.ts";
import { verifyRecord } from "../../src/verify/verdict.ts";
import { BreakableRegions, REGIONS } from "../support/breakable-regions.ts";

describe("a drill on virtual time", () => {
  it("loses no acknowledged message, goes on within the bound, and is recorded [G1] [G2] [G3] [G6]", async () => {
    const breaker = await BreakableRegions.start();
    const { clock } = breaker.world;
    const conversations = ["one@south", "two@south", "three@south"];
    let text = "";
    const sink = {
      write: async (piece: string) => {
        text += piece;
      },
    };
    const recorder = new Recorder({ sink, clock, about: "a drill", regions: REGIONS, conversations });
    const fleet = await breaker.fleet(recorder);
    const drill = new Drill({
      clock,
      breaker,
      fleet,
      recorder,
      region: "south",
      conversations,
      leaseTtlMs: LIMITS.embeddedLeaseTtlMs,
      everyMs: 100,
      restoreAfterMs: 10_000,
      signal: new AbortController().signal,
    });
    const report = await clock.until(drill.run());
    await clock.until(fleet.close());
    await clock.until(recorder.end());
    expect(report).toMatchObject({
      conversations: 3,
      missing: [],
      problems: [],
      counts: { rejected: 0, expired: 0, unknown: 0 },
    });
    expect(report.acknowledged).toBe(report.counts.committed);
    expect(report.inFlight).toBeGreaterThan(0);
    expect(report.handedBackMs).toBeDefined();
    expect(isPassed(report)).toBe(true);
    expect(await verifyRecord(text.split("\n").slice(0, -1))).toMatchObject({ status: "holds", lines: { fault: 2 } });
  });
});
