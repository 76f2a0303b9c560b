import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../../sim/clock.ts";
import { COORDINATOR, Links, type LinksChange, type Place } from "../../../../src/adapters/wan/links.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import { oneWayMs, REGIONS, ThreeRegions } from "./three-regions.ts";

describe("the links between regions", () => {
  it("let a message arrive after the one-way time of its direction, and at once inside a region", async () => {
    const world = new ThreeRegions();
    const ms = async (from: Place, to: Place) => (await world.timed(() => world.links.pass(from, to))).ms;
    expect(await ms("us", "eu")).toBe(40);
    expect(await ms("eu", "us")).toBe(40);
    expect(await ms("us", "ap")).toBe(108);
    expect(await ms("us", "us")).toBe(0);
    expect(await ms("us", COORDINATOR)).toBe(40);
    expect(await ms(COORDINATOR, "ap")).toBe(80);
    expect(await ms("eu", COORDINATOR)).toBe(0);
  });

  it("keep the order of each direction, and do not hold one direction up for another", async () => {
    const { links, clock } = new ThreeRegions();
    const arrived: string[] = [];
    const send = async (from: string, to: string, name: string) => {
      await links.pass(from, to);
      arrived.push(`${clock.monotonicMs()} ${name}`);
    };
    const sent = [send("us", "ap", "far 1"), send("us", "eu", "near 1"), send("us", "eu", "near 2")];
    await clock.advance(30);
    sent.push(send("us", "eu", "near 3"), send("us", "ap", "far 2"));
    await clock.until(Promise.all(sent));
    expect(arrived).toEqual(["40 near 1", "40 near 2", "70 near 3", "108 far 1", "138 far 2"]);
  });

  it("need one timer for all that is under way in a direction", async () => {
    const clock = new VirtualClock();
    let timers = 0;
    const counting = {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      time: () => clock.time(),
      nextTurn: () => clock.nextTurn(),
      after: (delayMs: number, fire: () => void) => {
        timers += 1;
        return clock.after(delayMs, fire);
      },
    };
    const links = new Links({ clock: counting, regions: REGIONS, oneWayMs, coordinator: "eu" });
    const passed = Array.from({ length: 1_000 }, () => links.pass("us", "eu"));
    expect(new Set(await clock.until(Promise.all(passed)))).toEqual(new Set(["arrived"]));
    expect(timers).toBe(1);
  });

  it("lose what is sent between partitioned regions and what is under way, in both directions, and nothing else", async () => {
    const { links, clock } = new ThreeRegions();
    const there = links.pass("us", "eu");
    const back = links.pass("eu", "us");
    const around = Promise.all([links.pass("us", "ap"), links.pass("ap", "eu")]);
    await clock.advance(39);
    links.partition("eu", "us");
    expect(await Promise.all([there, back, links.pass("us", "eu"), links.pass("us", "us")])).toEqual([
      "cut",
      "cut",
      "cut",
      "arrived",
    ]);
    expect(await clock.until(around)).toEqual(["arrived", "arrived"]);
    links.restorePair("us", "eu");
    expect(await clock.until(links.pass("us", "eu"))).toBe("arrived");
  });

  it("lose what was under way during a cut, though it is restored before the message would have arrived", async () => {
    const { links, clock } = new ThreeRegions();
    const passed = links.pass("us", "ap");
    await clock.advance(10);
    links.lose("ap");
    links.restoreRegion("ap");
    expect(await passed).toBe("cut");
  });

  it("let nothing pass to, from or inside a lost region", async () => {
    const { links } = new ThreeRegions();
    links.lose("eu");
    for (const [from, to] of [
      ["us", "eu"],
      ["eu", "us"],
      ["eu", "eu"],
      ["eu", COORDINATOR],
    ] as const) {
      expect(await links.pass(from, to)).toBe("cut");
      expect(links.open(from, to)).toBe(false);
    }
    expect(links.open("us", "ap")).toBe(true);
  });

  it("keep a partition when one of its regions is lost and comes back", () => {
    const { links } = new ThreeRegions();
    links.partition("us", "eu");
    links.lose("us");
    links.restoreRegion("us");
    expect(links.faults).toEqual({ lost: [], partitioned: [["us", "eu"]] });
    links.restoreAll();
    expect(links.faults).toEqual({ lost: [], partitioned: [] });
    expect(links.open("us", "eu")).toBe(true);
  });

  it("tell of each change once, after it holds, until one listens no more", () => {
    const { links } = new ThreeRegions();
    const told: LinksChange[] = [];
    const end = links.onChange((change) => {
      told.push(change);
      if (change.kind === "region-lost") expect(links.open("us", change.region)).toBe(false);
    });
    links.lose("ap");
    links.lose("ap");
    links.partition("us", "eu");
    links.partition("eu", "us");
    links.restorePair("eu", "us");
    links.restorePair("eu", "us");
    links.restoreAll();
    end();
    links.lose("us");
    expect(told).toEqual([
      { kind: "region-lost", region: "ap" },
      { kind: "pair-partitioned", pair: ["us", "eu"] },
      { kind: "pair-restored", pair: ["us", "eu"] },
      { kind: "region-restored", region: "ap" },
    ]);
  });

  it("refuse a region that is none, and a region's partition from itself", () => {
    const { links } = new ThreeRegions();
    const refused = { code: "INVALID_ARGUMENT" };
    expect(() => links.lose("mars")).toThrow(expect.objectContaining({ ...refused, advice: "The regions are us, eu, ap." }));
    expect(() => links.restoreRegion("mars")).toThrow(expect.objectContaining(refused));
    expect(() => links.partition("us", "mars")).toThrow(expect.objectContaining(refused));
    expect(() => links.partition("us", "us")).toThrow(expect.objectContaining(refused));
  });

  it("lose what is sent beyond the messages that a direction may carry [G9]", async () => {
    const { links, clock } = new ThreeRegions();
    const passed = Array.from({ length: LIMITS.wanMessages }, () => links.pass("us", "eu"));
    expect(await links.pass("us", "eu")).toBe("cut");
    expect(new Set(await clock.until(Promise.all(passed)))).toEqual(new Set(["arrived"]));
    expect(await clock.until(links.pass("us", "eu"))).toBe("arrived");
  });

  it("carry a call there and its answer, or its error, back", async () => {
    const world = new ThreeRegions();
    const began: number[] = [];
    const work = async () => {
      began.push(world.clock.monotonicMs());
      return "done";
    };
    expect(await world.timed(() => world.links.roundTrip("us", "eu", work))).toEqual({ result: { answer: "done" }, ms: 80 });
    expect(began).toEqual([40]);
    const failing = world.links.roundTrip("us", "eu", () => Promise.reject(new Error("no")));
    await expect(world.clock.until(failing)).rejects.toThrow("no");
    expect(world.clock.monotonicMs()).toBe(160);
  });

  it("do not begin a call that was cut on its way, and lose only the answer of one that was cut later", async () => {
    for (const [cutAtMs, begins] of [
      [39, 0],
      [41, 1],
    ] as const) {
      const { links, clock } = new ThreeRegions();
      let begun = 0;
      const trip = links.roundTrip("us", "eu", async () => {
        begun += 1;
      });
      await clock.advance(cutAtMs);
      links.partition("us", "eu");
      expect(await trip).toBe("cut");
      links.restoreAll();
      await clock.advance(1_000);
      expect(begun).toBe(begins);
    }
  });
});

describe("the coordinator's place", () => {
  const reach = (fault: (links: Links) => void) => {
    const { links } = new ThreeRegions();
    fault(links);
    return REGIONS.filter((region) => links.open(region, COORDINATOR) && links.open(COORDINATOR, region));
  };

  it("is reached by all while nothing is wrong", () => {
    expect(reach(() => {})).toEqual(["us", "eu", "ap"]);
  });

  it("survives the loss of any one region, its own included", () => {
    expect(reach((links) => links.lose("us"))).toEqual(["eu", "ap"]);
    expect(reach((links) => links.lose("eu"))).toEqual(["us", "ap"]);
    expect(reach((links) => links.lose("ap"))).toEqual(["us", "eu"]);
  });

  it("is not reached by a region that is partitioned from it", () => {
    expect(reach((links) => links.partition("us", "eu"))).toEqual(["eu", "ap"]);
    expect(reach((links) => links.partition("us", "ap"))).toEqual(["us", "eu", "ap"]);
  });

  it("stays with the majority when its own region is cut off from all others", () => {
    const isolate = (links: Links) => {
      links.partition("eu", "us");
      links.partition("eu", "ap");
    };
    expect(reach(isolate)).toEqual(["us", "ap"]);
  });

  it("is reached by nobody when no region is connected to a majority", () => {
    const shatter = (links: Links) => {
      links.lose("us");
      links.partition("eu", "ap");
    };
    expect(reach(shatter)).toEqual([]);
    expect(reach((links) => ["us", "eu"].map((region) => links.lose(region)))).toEqual([]);
  });
});
