import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../../sim/random.ts";
import { MemoryLogStore } from "../../../../src/adapters/memory/log-store.ts";
import { Healer } from "../../../../src/adapters/wan/healer.ts";
import type { Replica, RowKey } from "../../../../src/adapters/wan/replica.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { LogStore, Row } from "../../../../src/ports/log-store.ts";
import { contentOf, REGIONS, type RegionName, row, ThreeRegions } from "./three-regions.ts";

const cursor = { conversation: "standup", consumer: "ada" };

class HealedWorld extends ThreeRegions {
  readonly healer: Healer;

  constructor(replicas: Readonly<Partial<Record<RegionName, Replica>>> = {}) {
    super();
    this.healer = new Healer({
      replicas: new Map<string, Replica>(Object.entries({ ...this.replicas, ...replicas })),
      links: this.links,
      clock: this.clock,
      random: new SeededRandom(1),
      telemetry: this.telemetry,
    });
  }

  /** Starts it and lets it look at everything once. */
  async started(): Promise<this> {
    this.healer.start();
    await this.untilWhole();
    return this;
  }

  /** A store whose missed writes the healer is told of. */
  override store(region: RegionName, replicas: Readonly<Partial<Record<RegionName, LogStore>>> = {}) {
    const store = super.store(region, replicas);
    this.missed.push = (missing) => {
      this.healer.request(missing);
      return 0;
    };
    return store;
  }

  async untilWhole(): Promise<void> {
    for (let tries = 0; tries < 600 && this.healer.behind().length > 0; tries += 1) await this.clock.advance(100);
    expect(this.healer.behind()).toEqual([]);
  }

  get healedRows(): number {
    return this.telemetry.counters.get("wan.healed-rows") ?? 0;
  }

  async expectAlike(): Promise<void> {
    const [first, ...others] = await Promise.all(REGIONS.map((region) => contentOf(this.replicas[region])));
    for (const other of others) expect(other).toEqual(first);
  }
}

describe("the healer", () => {
  it("brings a returned region's replica everything that it missed [G2, R10, R11]", async () => {
    const world = await new HealedWorld().started();
    const store = world.store("us");
    world.links.lose("ap");
    for (let seq = 1; seq <= 20; seq += 1) await world.clock.until(store.append(row(seq)));
    await world.clock.until(store.saveCheckpoint("standup", 1n, 20, Buffer.from("state at 20")));
    await world.clock.until(store.saveCursor(cursor, { generation: 1, seq: 17 }));
    await world.clock.until(store.raiseEpochMark(3, 9n));
    await world.clock.advance(10_000);
    expect(world.healer.behind()).toContain("ap");
    expect((await contentOf(world.replicas.ap)).rows).toEqual([]);
    world.links.restoreRegion("ap");
    await world.untilWhole();
    await world.expectAlike();
    expect((await contentOf(world.replicas.ap)).rows).toHaveLength(20);
    expect(world.healedRows).toBe(20);
  });

  it("brings live replicas what they missed while a link was cut", async () => {
    const world = await new HealedWorld().started();
    world.links.partition("us", "eu");
    await world.clock.until(world.store("us").append(row(1)));
    await world.clock.until(world.store("eu").append(row(2)));
    await world.clock.advance(1_000);
    world.links.restoreAll();
    await world.untilWhole();
    await world.expectAlike();
    expect((await contentOf(world.replicas.us)).rows).toHaveLength(2);
  });

  it("compares replicas after every cut, whether or not somebody said that a write was missed", async () => {
    const world = await new HealedWorld().started();
    world.links.lose("ap");
    await world.replicas.us.append(row(1));
    await world.clock.advance(60_000);
    world.links.restoreRegion("ap");
    await world.untilWhole();
    expect((await contentOf(world.replicas.ap)).rows).toHaveLength(1);
  });

  it("heals around a cut that stays, by the replica that both sides reach", async () => {
    const world = await new HealedWorld().started();
    world.links.partition("us", "eu");
    await world.clock.until(world.store("us").append(row(1)));
    await world.clock.advance(60_000);
    expect(world.healer.behind()).toEqual(["us", "eu"]);
    await world.expectAlike();
  });

  it("passes on what a replica has just been brought to one that is cut off from where it came from", async () => {
    const world = await new HealedWorld().started();
    world.links.partition("us", "eu");
    world.links.partition("us", "ap");
    expect(await world.clock.until(world.store("us").append(row(1)))).toBe("unknown");
    world.links.restorePair("us", "ap");
    await world.clock.advance(60_000);
    expect((await contentOf(world.replicas.eu)).rows).toHaveLength(1);
  });

  it("copies rows as they are: every epoch of a seq, the same bytes, a dead leader's too [R1, R6]", async () => {
    const world = new HealedWorld();
    await world.replicas.us.append(row(1, 1n, "first"));
    await world.replicas.us.append(row(1, 2n, "first"));
    await world.replicas.eu.append(row(1, 3n, "a zombie's"));
    await world.started();
    await world.expectAlike();
    expect((await contentOf(world.replicas.ap)).rows).toHaveLength(3);
  });

  it("never takes a checkpoint, a cursor or a mark back [R10, R11]", async () => {
    const world = new HealedWorld();
    const [us, eu] = [world.replicas.us, world.replicas.eu];
    await us.saveCheckpoint("standup", 2n, 50, Buffer.from("newer"));
    await eu.saveCheckpoint("standup", 1n, 900, Buffer.from("older"));
    await us.saveCursor(cursor, { generation: 2, seq: 1 });
    await eu.saveCursor(cursor, { generation: 1, seq: 800 });
    await us.raiseEpochMark(1, 7n);
    await eu.raiseEpochMark(1, 6n);
    await world.started();
    await world.expectAlike();
    expect(await eu.loadCheckpoint("standup")).toMatchObject({ epoch: 2n, seq: 50, bytes: Buffer.from("newer") });
    expect(await eu.loadCursor(cursor)).toEqual({ generation: 2, seq: 1 });
    expect(await eu.loadEpochMark(1)).toBe(7n);
  });

  it("makes every replica the union of all, whatever each lacks", async () => {
    const entries = fc.array(
      fc.record({
        kind: fc.constantFrom("row", "checkpoint", "cursor", "mark"),
        name: fc.constantFrom("a", "aa", "日本"),
        seq: fc.integer({ min: 1, max: 9_000 }),
        epoch: fc.bigInt({ min: 1n, max: 3n }),
        at: fc.integer({ min: 1, max: 7 }),
      }),
      { maxLength: 40 },
    );
    const put = (
      replica: MemoryLogStore,
      { kind, name, seq, epoch }: { kind: string; name: string; seq: number; epoch: bigint },
    ) => {
      if (kind === "row") return replica.append(row(seq, epoch, `${name} ${seq}`, name));
      if (kind === "checkpoint") return replica.saveCheckpoint(name, epoch, seq, Buffer.from(`${epoch}/${seq}`));
      if (kind === "cursor") return replica.saveCursor({ conversation: name, consumer: "c" }, { generation: Number(epoch), seq });
      return replica.raiseEpochMark(seq % 128, epoch);
    };
    await fc.assert(
      fc.asyncProperty(entries, async (all) => {
        const world = new HealedWorld();
        const union = new MemoryLogStore();
        for (const entry of all) {
          await put(union, entry);
          for (const [bit, region] of REGIONS.entries())
            if ((entry.at & (1 << bit)) > 0) await put(world.replicas[region], entry);
        }
        await world.started();
        await world.healer.stop();
        for (const region of REGIONS) expect(await contentOf(world.replicas[region])).toEqual(await contentOf(union));
      }),
      { numRuns: 25 },
    );
  });

  it("walks pages of keys and bounded groups of rows, however much is missing [G9]", async () => {
    const world = new HealedWorld();
    const count = 2 * LIMITS.healPageKeys + 7;
    for (let seq = 1; seq <= count; seq += 1) {
      await world.replicas.us.append({ ...row(seq), bytes: new Uint8Array(seq % 200 === 0 ? LIMITS.batchBytes : 10) });
    }
    const asked: number[] = [];
    const given: number[] = [];
    const { scanRows, rowsOf } = world.replicas.us;
    world.replicas.us.scanRows = async (after, limit) => {
      const keys = await scanRows.call(world.replicas.us, after, limit);
      asked.push(keys.length);
      return keys;
    };
    world.replicas.us.rowsOf = async (keys: readonly RowKey[], limitBytes: number) => {
      const rows = await rowsOf.call(world.replicas.us, keys, limitBytes);
      given.push(rows.reduce((bytes, { bytes: { length } }) => bytes + length, 0));
      return rows;
    };
    await world.started();
    expect(Math.max(...asked)).toBe(LIMITS.healPageKeys);
    expect(Math.max(...given)).toBeLessThanOrEqual(LIMITS.pageBytes);
    await world.expectAlike();
  });

  it("copies nothing that is there already", async () => {
    const world = await new HealedWorld().started();
    await world.clock.until(world.store("us").append(row(1)));
    await world.clock.until(world.store("us").saveCheckpoint("standup", 1n, 1, Buffer.from("x")));
    await world.clock.advance(1_000);
    let copied = 0;
    for (const region of REGIONS) {
      world.replicas[region].rowsOf = async () => {
        copied += 1;
        return [];
      };
      world.replicas[region].saveCheckpoint = async () => {
        copied += 1;
        return "committed";
      };
    }
    for (const region of REGIONS) world.healer.request(region);
    await world.untilWhole();
    expect([copied, world.healedRows]).toEqual([0, 0]);
  });

  it("goes on after a cut in the middle of its walk", async () => {
    const world = new HealedWorld();
    for (let seq = 1; seq <= 5_000; seq += 1) await world.replicas.us.append(row(seq));
    world.healer.start();
    await world.clock.advance(LIMITS.healPauseMs + 300);
    const before = (await contentOf(world.replicas.eu)).rows.length;
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(5_000);
    world.links.lose("eu");
    await world.clock.advance(20_000);
    expect((await contentOf(world.replicas.eu)).rows).toHaveLength(before);
    world.links.restoreAll();
    await world.untilWhole();
    await world.expectAlike();
    expect(world.telemetry.events()).toContain("wan.healing-broken-off");
  });

  it("heals a replica whose disk refused for a while, though no link was ever cut", async () => {
    const world = new HealedWorld();
    await world.started();
    let full = true;
    const flaky = new Proxy(world.replicas.eu, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as (...given: unknown[]) => unknown;
        return name === "append" && full ? async () => "unknown" : member.bind(target);
      },
    });
    await world.clock.until(world.store("us", { eu: flaky }).append(row(1)));
    await world.clock.advance(200);
    full = false;
    await world.untilWhole();
    await world.expectAlike();
  });

  it("tries again when the replica does not confirm, and is not satisfied by one that confirms and does not keep", async () => {
    const lying = new MemoryLogStore();
    const kept = lying.append.bind(lying);
    let mode: "refuse" | "lie" | "keep" = "refuse";
    lying.append = (async (given: Row) => {
      if (mode === "keep") return kept(given);
      return mode === "lie" ? "committed" : "unknown";
    }) as MemoryLogStore["append"];
    const world = new HealedWorld({ eu: lying });
    await world.replicas.us.append(row(1));
    world.healer.start();
    await world.clock.advance(5_000);
    expect(world.healer.behind()).toContain("eu");
    expect(world.telemetry.lines.find(({ event }) => event === "wan.healing-broken-off")).toMatchObject({
      level: "warn",
      fields: { region: "eu", from: "us", code: "UNAVAILABLE" },
    });
    mode = "lie";
    await world.clock.advance(20_000);
    expect(world.healer.behind()).toContain("eu");
    expect(world.telemetry.lines.filter(({ level }) => level === "error").at(-1)).toMatchObject({ fields: { code: "INTERNAL" } });
    mode = "keep";
    await world.untilWhole();
    expect((await contentOf(lying)).rows).toHaveLength(1);
  });

  it("gives up on a replica that hangs, after a while, and goes on with the others [G9]", async () => {
    const hanging = new MemoryLogStore();
    hanging.missingRows = () => new Promise(() => {});
    const world = new HealedWorld({ eu: hanging });
    await world.replicas.us.append(row(1));
    world.healer.start();
    await world.clock.advance(60_000);
    expect((await contentOf(world.replicas.ap)).rows).toHaveLength(1);
    expect(world.healer.behind()).toEqual(["eu"]);
  });

  it("stops at once, in the middle of a walk or while it waits", async () => {
    const walking = new HealedWorld();
    for (let seq = 1; seq <= 3_000; seq += 1) await walking.replicas.us.append(row(seq));
    walking.healer.start();
    await walking.clock.advance(LIMITS.healPauseMs + 100);
    await walking.healer.stop();
    const waiting = await new HealedWorld().started();
    await waiting.healer.stop();
    waiting.links.lose("us");
    waiting.links.restoreAll();
    await waiting.clock.advance(10_000);
    expect(walking.telemetry.events()).not.toContain("wan.healing-broken-off");
  });
});
