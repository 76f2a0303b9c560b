import { describe, expect, it } from "vitest";
import { MemoryLogStore } from "../../../../src/adapters/memory/log-store.ts";
import { MeridianError } from "../../../../src/kernel/errors.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { LogStore, Page, ReadLevel, ReadOptions, Row } from "../../../../src/ports/log-store.ts";
import { type RegionName, row, ThreeRegions } from "./three-regions.ts";

/** A replica that answers nothing: its disk hangs. */
class HangingLogStore extends MemoryLogStore {
  override append(): Promise<"committed"> {
    return new Promise(() => {});
  }

  override read(): Promise<Page> {
    return new Promise(() => {});
  }
}

/** A replica whose disk refuses. */
const failingStore = {
  append: async () => "unknown",
  read: async () => {
    throw new MeridianError("CORRUPT", "the disk is damaged");
  },
} as Partial<LogStore> as LogStore;

const page = (level: ReadLevel, limitBytes = 1_000_000): ReadOptions => ({ level, limitBytes });

async function seqsAt(world: ThreeRegions, region: RegionName): Promise<number[]> {
  return (await world.replicas[region].read("standup", 1, page("local"))).rows.map(({ firstSeq }) => firstSeq);
}

describe("the replicated log: appending", () => {
  it("commits after the round trip to the nearest region that completes a majority [R3]", async () => {
    const world = new ThreeRegions();
    expect(await world.timed(() => world.store("us").append(row(1)))).toEqual({ result: "committed", ms: 80 });
    expect(await world.timed(() => world.store("ap").append(row(2)))).toEqual({ result: "committed", ms: 160 });
  });

  it("brings the row to the farthest replica too, without waiting for it", async () => {
    const world = new ThreeRegions();
    await world.clock.until(world.store("us").append(row(1)));
    expect(await seqsAt(world, "ap")).toEqual([]);
    await world.clock.advance(28);
    expect(await seqsAt(world, "ap")).toEqual([1]);
    expect(world.missed).toEqual([]);
  });

  it("commits with any one region lost, at the price of the longer way [G2]", async () => {
    const world = new ThreeRegions();
    world.links.lose("eu");
    expect(await world.timed(() => world.store("us").append(row(1)))).toEqual({ result: "committed", ms: 216 });
    expect(await seqsAt(world, "eu")).toEqual([]);
    expect(world.missed).toEqual(["eu"]);
    expect(world.telemetry.counters.get("wan.missed-writes")).toBe(1);
  });

  it("is unknown as soon as a majority cannot be had any more, and the row may stand somewhere all the same", async () => {
    const world = new ThreeRegions();
    world.links.lose("eu");
    const outcome = world.store("us").append(row(1));
    await world.clock.advance(50);
    world.links.partition("us", "ap");
    expect(await world.timed(() => outcome)).toEqual({ result: "unknown", ms: 0 });
    expect(await seqsAt(world, "us")).toEqual([1]);
    expect(world.telemetry.counters.get("wan.writes-unknown")).toBe(1);
  });

  it("is unknown when only the answer was cut off, though the row stands at a majority", async () => {
    const world = new ThreeRegions();
    world.links.lose("ap");
    const outcome = world.store("us").append(row(1));
    await world.clock.advance(60);
    world.links.partition("us", "eu");
    expect(await outcome).toBe("unknown");
    expect(await seqsAt(world, "eu")).toEqual([1]);
  });

  it("in a lost region is unknown at once, and reaches not even its own replica", async () => {
    const world = new ThreeRegions();
    world.links.lose("us");
    expect(await world.timed(() => world.store("us").append(row(1)))).toEqual({ result: "unknown", ms: 0 });
    expect(await seqsAt(world, "us")).toEqual([]);
  });

  it("is unknown after its deadline when replicas hang, and never earlier [G9]", async () => {
    const world = new ThreeRegions();
    const hanging = { eu: new HangingLogStore(), ap: new HangingLogStore() };
    const { result, ms } = await world.timed(() => world.store("us", hanging).append(row(1)));
    expect({ result, ms }).toEqual({ result: "unknown", ms: LIMITS.wanAnswerMs + 216 });
  });

  it("counts a replica that does not know whether it wrote as one that did not", async () => {
    const world = new ThreeRegions();
    const failing = { eu: failingStore };
    expect(await world.timed(() => world.store("us", failing).append(row(1)))).toEqual({ result: "committed", ms: 216 });
    expect(world.missed).toEqual(["eu"]);
    expect(await world.clock.until(world.store("us", { ...failing, us: failingStore }).append(row(2)))).toBe("unknown");
  });

  it("does not call a write missed that no replica has", async () => {
    const world = new ThreeRegions();
    const failing = { us: failingStore, eu: failingStore, ap: failingStore };
    expect(await world.clock.until(world.store("us", failing).append(row(1)))).toBe("unknown");
    await world.clock.advance(1_000);
    expect(world.missed).toEqual([]);
  });

  it("says which replica breaks a rule, and never throws", async () => {
    const world = new ThreeRegions();
    await world.replicas.us.append(row(1, 1n, "other bytes"));
    expect(await world.clock.until(world.store("us").append(row(1)))).toBe("committed");
    const failed = world.telemetry.lines.find(({ event }) => event === "wan.replica-failed");
    expect(failed).toMatchObject({ level: "error", fields: { region: "us", code: "INTERNAL" } });
  });
});

describe("the replicated log: reading", () => {
  const read = (world: ThreeRegions, region: RegionName, level: ReadLevel) =>
    world.timed(() => world.store(region).read("standup", 1, page(level)));
  const seqs = (rows: readonly Row[]) => rows.map(({ firstSeq }) => firstSeq);

  it("local shows what its own replica has, at once, stale or not [R5]", async () => {
    const world = new ThreeRegions();
    world.links.partition("us", "eu");
    await world.clock.until(world.store("us").append(row(1)));
    const { result, ms } = await read(world, "eu", "local");
    expect({ rows: seqs(result.rows), ms }).toEqual({ rows: [], ms: 0 });
    expect(seqs((await read(world, "us", "local")).result.rows)).toEqual([1]);
  });

  it("quorum shows every committed row, whichever region is lost since [G2, R6]", async () => {
    for (const absent of ["us", "eu", "ap"] as const) {
      for (const lost of ["us", "eu", "ap"] as const) {
        const world = new ThreeRegions();
        const writer = absent === "us" ? "eu" : "us";
        world.links.lose(absent);
        expect(await world.clock.until(world.store(writer).append(row(1)))).toBe("committed");
        world.links.restoreAll();
        world.links.lose(lost);
        const reader = lost === "us" ? "ap" : "us";
        expect(seqs((await read(world, reader, "quorum")).result.rows)).toEqual([1]);
      }
    }
  });

  it("quorum takes the round trip to the nearest other replica", async () => {
    expect((await read(new ThreeRegions(), "us", "quorum")).ms).toBe(80);
    expect((await read(new ThreeRegions(), "ap", "quorum")).ms).toBe(160);
  });

  it("quorum ends a page where a replica of it was cut short, so that what only that one has is not passed over [R6]", async () => {
    const world = new ThreeRegions();
    const long = "x".repeat(100);
    for (const seq of [1, 2, 3]) await world.replicas.us.append(row(seq, 1n, long));
    for (const seq of [1, 9]) await world.replicas.eu.append(row(seq, 1n, seq === 1 ? long : "9"));
    const first = await world.clock.until(world.store("us").read("standup", 1, page("quorum", 200)));
    expect([seqs(first.rows), first.more]).toEqual([[1, 2], true]);
    const second = await world.clock.until(world.store("us").read("standup", 3, page("quorum", 200)));
    expect([seqs(second.rows), second.more]).toEqual([[3, 9], false]);
  });

  it("quorum is not there when a majority is cut off", async () => {
    const world = new ThreeRegions();
    world.links.lose("eu");
    world.links.partition("us", "ap");
    await expect(world.store("us").read("standup", 1, page("quorum"))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("ap is cut off from us"),
    });
  });

  it("quorum does without a replica that cannot be read, and says so", async () => {
    const world = new ThreeRegions();
    await world.clock.until(world.store("us").append(row(1)));
    await world.clock.advance(1_000);
    const result = await world.clock.until(world.store("us", { us: failingStore }).read("standup", 1, page("quorum")));
    expect(seqs(result.rows)).toEqual([1]);
    expect(world.telemetry.lines.at(-1)).toMatchObject({
      event: "wan.replica-failed",
      fields: { region: "us", code: "CORRUPT" },
    });
  });

  it("all asks every replica, and is not there when one of them is not [R6]", async () => {
    const world = new ThreeRegions();
    await world.replicas.ap.append(row(7));
    expect(seqs((await read(world, "us", "quorum")).result.rows)).toEqual([]);
    const { result, ms } = await read(world, "us", "all");
    expect({ rows: seqs(result.rows), ms }).toEqual({ rows: [7], ms: 216 });
    world.links.lose("ap");
    await expect(world.store("us").read("standup", 1, page("all"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("alarms when replicas hold different bytes for one row, and shows both", async () => {
    const world = new ThreeRegions();
    await world.replicas.us.append(row(1, 1n, "one"));
    await world.replicas.eu.append(row(1, 1n, "other"));
    expect((await read(world, "us", "quorum")).result.rows).toHaveLength(2);
    expect(world.telemetry.counters.get("wan.rows-differing")).toBe(1);
  });

  it("gives up after the deadline when replicas hang [G9]", async () => {
    const world = new ThreeRegions();
    const store = world.store("us", { eu: new HangingLogStore(), ap: new HangingLogStore() });
    await expect(world.clock.until(store.read("standup", 1, page("quorum")))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(world.clock.monotonicMs()).toBe(LIMITS.wanAnswerMs + 216);
  });
});

describe("the replicated log: what is merged by maximum", () => {
  const cursor = { conversation: "standup", consumer: "ada" };

  it("loads the highest checkpoint of a majority, also when its own region has missed it [R10]", async () => {
    const world = new ThreeRegions();
    await world.clock.until(world.store("us").saveCheckpoint("standup", 1n, 90, Buffer.from("old")));
    await world.clock.advance(1_000);
    world.links.lose("ap");
    const save = world.store("us").saveCheckpoint("standup", 2n, 50, Buffer.from("new"));
    expect(await world.timed(() => save)).toEqual({ result: "committed", ms: 80 });
    world.links.restoreAll();
    expect(world.missed).toEqual(["ap"]);
    const { result, ms } = await world.timed(() => world.store("ap").loadCheckpoint("standup"));
    expect(result).toMatchObject({ epoch: 2n, seq: 50 });
    expect(ms).toBe(160);
  });

  it("does not say that a checkpoint is committed which only a minority has", async () => {
    const world = new ThreeRegions();
    world.links.partition("us", "eu");
    world.links.partition("us", "ap");
    expect(await world.store("us").saveCheckpoint("standup", 1n, 1, Buffer.from("x"))).toBe("unknown");
    await expect(world.store("us").loadCheckpoint("standup")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("loads the highest cursor of a majority, generation before seq [R11]", async () => {
    const world = new ThreeRegions();
    await world.clock.until(world.store("eu").saveCursor(cursor, { generation: 1, seq: 900 }));
    await world.clock.advance(1_000);
    world.links.lose("eu");
    await world.clock.until(world.store("us").saveCursor(cursor, { generation: 2, seq: 3 }));
    world.links.restoreAll();
    expect(await world.clock.until(world.store("eu").loadCursor(cursor))).toEqual({ generation: 2, seq: 3 });
  });

  it("raises a mark at a majority or throws, and loads the highest of a majority", async () => {
    const world = new ThreeRegions();
    world.links.lose("ap");
    await world.clock.until(world.store("us").raiseEpochMark(7, 12n));
    world.links.restoreAll();
    expect(await world.clock.until(world.store("ap").loadEpochMark(7))).toBe(12n);
    expect(await world.clock.until(world.store("ap").loadEpochMark(8))).toBe(0n);
    world.links.lose("us");
    world.links.lose("eu");
    const raised = world.store("ap").raiseEpochMark(7, 13n);
    await expect(raised).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(world.store("ap").saveCursor(cursor, { generation: 1, seq: 1 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});
