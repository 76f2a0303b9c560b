import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Breaker } from "../../src/cli/load/breaker.ts";
import { chatScript } from "../../src/cli/load/chat-script.ts";
import { type KillPlan, Replay } from "../../src/cli/load/replay.ts";
import { Recorder } from "../../src/verify/recorder.ts";
import { verifyRecord } from "../../src/verify/verdict.ts";
import { BreakableRegions, REGIONS } from "../support/breakable-regions.ts";

const CHATS = join(import.meta.dirname, "../fixtures/chat");

/** Every line of the fixtures so many times over, a conversation a file. */
function scripts(times: number) {
  return readdirSync(CHATS)
    .filter((name) => name.endsWith(".log"))
    .map((name) =>
      chatScript(name, Buffer.concat(Array.from({ length: times }, () => readFileSync(join(CHATS, name)))), "again"),
    );
}

async function replay(
  regions: BreakableRegions,
  options: { readonly times: number; readonly window: number; readonly kills?: KillPlan },
) {
  const { clock } = regions.world;
  const { times, ...rest } = options;
  const said = scripts(times);
  let text = "";
  const recorder = new Recorder({
    sink: {
      write: async (piece) => {
        text += piece;
      },
    },
    clock,
    about: "replay on virtual time",
    regions: REGIONS,
    conversations: said.map(({ conversation }) => conversation),
  });
  const fleet = await regions.fleet(recorder);
  const { signal } = new AbortController();
  const run = new Replay({ clock, recorder, fleet, scripts: said, signal, ...rest });
  await clock.until(run.run());
  await clock.until(fleet.close());
  await clock.until(recorder.end());
  return { run, verdict: await verifyRecord(text.split("\n").slice(0, -1)) };
}

describe("a replay of chat logs on virtual time", () => {
  it("hands every line to every region once, and the record of it holds [G1] [G2] [G3] [G4] [G7]", async () => {
    const { run, verdict } = await replay(await BreakableRegions.start(), { times: 3, window: 8 });
    expect(run.tally.counts).toEqual({ committed: run.messages, rejected: 0, expired: 0, unknown: 0 });
    expect(REGIONS.map((region) => run.tally.deliveries.get(region)?.count)).toEqual(REGIONS.map(() => run.messages));
    expect(run.behind).toEqual([]);
    expect(verdict).toMatchObject({ status: "holds", errors: [], lines: { send: run.messages, delivery: 3 * run.messages } });
  });

  it("loses the leading region twice with sends in flight, and the record holds all the same [G1] [G2] [G3] [G4] [G6] [G7]", async () => {
    const regions = await BreakableRegions.start();
    const kills = { breaker: regions, atPercent: [66, 33], restoreAfterMs: 10_000 };
    const { run, verdict } = await replay(regions, { times: 25, window: 4, kills });
    expect(run.kills?.reports).toMatchObject([{ atPercent: 33 }, { atPercent: 66 }]);
    for (const report of run.kills?.reports ?? []) {
      expect(report.problem).toBeUndefined();
      expect(Math.min(report.conversations, report.inFlight)).toBeGreaterThan(0);
      expect(report.ledElsewhereMs).toBeLessThan(10_000);
      expect(report.restoredMs).toBeGreaterThanOrEqual(10_000);
    }
    expect(run.tally.counts).toEqual({ committed: run.messages, rejected: 0, expired: 0, unknown: 0 });
    expect(verdict).toMatchObject({ status: "holds", errors: [], lines: { fault: 4, delivery: 3 * run.messages } });
    expect(verdict.checks.every(({ status }) => status === "holds")).toBe(true);
    expect(verdict.checks.find(({ guarantee }) => guarantee === "G1")?.denominators.epochs).toBeGreaterThan(0);
  });

  it("takes a kill that changed nothing for a problem", async () => {
    const regions = await BreakableRegions.start();
    const breaker: Breaker = {
      kill: async () => {},
      restore: async () => {},
      isWhole: async () => true,
      regionOf: (node) => regions.regionOf(node),
    };
    const kills = { breaker, atPercent: [50], restoreAfterMs: 1_000 };
    const { run } = await replay(regions, { times: 3, window: 8, kills });
    expect(run.kills?.reports[0]?.problem).toContain("no other region led with a higher epoch");
  });
});
