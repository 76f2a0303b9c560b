import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { World } from "../../sim/world.ts";
import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import type { Breaker } from "../../src/cli/load/breaker.ts";
import { chatScript } from "../../src/cli/load/chat-script.ts";
import { Fleet } from "../../src/cli/load/fleet.ts";
import { type KillPlan, Replay } from "../../src/cli/load/replay.ts";
import { sleep } from "../../src/kernel/timing.ts";
import type { LogStore } from "../../src/ports/log-store.ts";
import { Recorder } from "../../src/verify/recorder.ts";
import { verifyRecord } from "../../src/verify/verdict.ts";
import { LateCoordinator } from "../support/late-coordinator.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

const REGIONS = ["east", "south", "west"];
const CHATS = join(import.meta.dirname, "../fixtures/chat");

/** Every append takes as long as a quorum that is far away, so that sends are in flight when a region is lost. */
class FarLogStore extends MemoryLogStore {
  world: World | undefined;

  override async append(row: Parameters<LogStore["append"]>[0]): Promise<"committed"> {
    if (this.world !== undefined) await sleep(this.world.clock, 60);
    return super.append(row);
  }
}

/** Three regions, each of which can be cut off from everything, clients included. */
class Regions implements Breaker {
  readonly world: World;
  readonly #roads: ReadonlyMap<string, LateCoordinator>;
  readonly #places: string[] = [];

  private constructor(world: World) {
    this.world = world;
    this.#roads = new Map(REGIONS.map((region) => [region, new LateCoordinator(world.coordinator, world.clock)]));
  }

  static async start(): Promise<Regions> {
    const store = new FarLogStore();
    const world = new World({ telemetry: new MemoryTelemetry(), regions: REGIONS, store });
    store.world = world;
    const regions = new Regions(world);
    for (const region of REGIONS) await world.start(`node-${region}`, region, regions.#roads.get(region));
    await world.clock.advance(5_000);
    return regions;
  }

  async fleet(recorder: Recorder): Promise<Fleet> {
    const { clock } = this.world;
    const nodes = REGIONS.map((region) => `node-${region}:1`);
    return Fleet.open({
      connect: async (options) => {
        const place = `phone-${this.#places.length}`;
        this.#places.push(place);
        return this.world.client(place, options);
      },
      agent: "test",
      clock,
      recorder,
      homes: REGIONS.map((region, at) => ({ region, endpoints: [...nodes.slice(at), ...nodes.slice(0, at)] })),
      clientsPerRegion: 2,
      onTrouble: () => {},
    });
  }

  async kill(region: string): Promise<void> {
    this.#roads.get(region)?.cut();
    for (const other of this.#others(region)) this.world.network.cut(`node-${region}`, other);
    this.world.network.breakStreams(`node-${region}:1`);
  }

  async restore(region: string): Promise<void> {
    this.#roads.get(region)?.heal();
    for (const other of this.#others(region)) this.world.network.heal(`node-${region}`, other);
  }

  async isWhole(): Promise<boolean> {
    return true;
  }

  regionOf(node: string): string | undefined {
    return REGIONS.find((region) => node === `node-${region}`);
  }

  #others(region: string): readonly string[] {
    return [...REGIONS.filter((other) => other !== region).map((other) => `node-${other}`), ...this.#places];
  }
}

/** Every line of the fixtures so many times over, a conversation a file. */
function scripts(times: number) {
  return readdirSync(CHATS)
    .filter((name) => name.endsWith(".log"))
    .map((name) =>
      chatScript(name, Buffer.concat(Array.from({ length: times }, () => readFileSync(join(CHATS, name)))), "again"),
    );
}

async function replay(regions: Regions, options: { readonly times: number; readonly window: number; readonly kills?: KillPlan }) {
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
    const { run, verdict } = await replay(await Regions.start(), { times: 3, window: 8 });
    expect(run.tally.counts).toEqual({ committed: run.messages, rejected: 0, expired: 0, unknown: 0 });
    expect(REGIONS.map((region) => run.tally.deliveries.get(region)?.count)).toEqual(REGIONS.map(() => run.messages));
    expect(run.behind).toEqual([]);
    expect(verdict).toMatchObject({ status: "holds", errors: [], lines: { send: run.messages, delivery: 3 * run.messages } });
  });

  it("loses the leading region twice with sends in flight, and the record holds all the same [G1] [G2] [G3] [G4] [G6] [G7]", async () => {
    const regions = await Regions.start();
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
    const regions = await Regions.start();
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
