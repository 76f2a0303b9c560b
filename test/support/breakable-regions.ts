import { World } from "../../sim/world.ts";
import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import type { Breaker } from "../../src/cli/load/breaker.ts";
import { Fleet } from "../../src/cli/load/fleet.ts";
import { sleep } from "../../src/kernel/timing.ts";
import type { LogStore } from "../../src/ports/log-store.ts";
import type { Recorder } from "../../src/verify/recorder.ts";
import { LateCoordinator } from "./late-coordinator.ts";
import { MemoryTelemetry } from "./telemetry.ts";

export const REGIONS = ["east", "south", "west"];

/** Every append takes as long as a quorum that is far away, so that sends are in flight when a region is lost. */
class FarLogStore extends MemoryLogStore {
  world: World | undefined;

  override async append(row: Parameters<LogStore["append"]>[0]): Promise<"committed"> {
    if (this.world !== undefined) await sleep(this.world.clock, 60);
    return super.append(row);
  }
}

/** Three regions, each of which can be cut off from everything, clients included. */
export class BreakableRegions implements Breaker {
  readonly world: World;
  readonly #roads: ReadonlyMap<string, LateCoordinator>;
  readonly #places: string[] = [];

  private constructor(world: World) {
    this.world = world;
    this.#roads = new Map(REGIONS.map((region) => [region, new LateCoordinator(world.coordinator, world.clock)]));
  }

  static async start(): Promise<BreakableRegions> {
    const store = new FarLogStore();
    const world = new World({ telemetry: new MemoryTelemetry(), regions: REGIONS, store });
    store.world = world;
    const regions = new BreakableRegions(world);
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
