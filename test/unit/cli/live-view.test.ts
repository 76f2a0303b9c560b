import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { LiveView, type RegionLook, tableOf } from "../../../src/cli/live-view.ts";

const up = (region: string, change: Partial<RegionLook> = {}): RegionLook => ({
  region,
  state: "up",
  leads: 2,
  ordered: 100,
  lagMs: 41.4,
  clients: 3,
  ...change,
});

function setUp(terminal: boolean) {
  const clock = new VirtualClock();
  const state = { looks: [up("us-east"), up("eu-west", { lagMs: undefined })] };
  let text = "";
  const streams = {
    stdout: async () => {},
    stderr: (more: string) => {
      text += more;
    },
    stderrIsTerminal: terminal,
  };
  const view = new LiveView({ streams, timers: clock, look: () => state.looks });
  return { clock, state, view, text: () => text };
}

describe("the live view", () => {
  it("is a table of who leads, with rates since the look before", () => {
    const before = [up("us-east"), up("eu-west")];
    const now = [up("us-east", { ordered: 160 }), up("eu-west", { state: "catching up", lagMs: undefined })];
    expect(tableOf(now, before)).toEqual([
      "",
      "  region   state        leads  msg/s    lag  clients",
      "  us-east  up               2     60  41 ms        3",
      "  eu-west  catching up      2      0      -        3",
    ]);
  });

  it("is drawn again every second in the same place of a terminal", async () => {
    const { clock, view, text } = setUp(true);
    view.start();
    await clock.advance(1_000);
    view.stop();
    await clock.advance(5_000);
    expect(text().split("msg/s")).toHaveLength(3);
    expect(text().split("\x1b[4A\x1b[J")).toHaveLength(2);
  });

  it("says elsewhere only what changes", async () => {
    const { clock, state, view, text } = setUp(false);
    view.start();
    await clock.advance(3_000);
    expect(text()).toBe("");
    state.looks = [up("us-east", { state: "lost" }), up("eu-west")];
    await clock.advance(3_000);
    state.looks = [up("us-east"), up("eu-west")];
    await clock.advance(3_000);
    view.stop();
    expect(text()).toBe("us-east is lost\nus-east is up\n");
  });
});
