import { describe, expect, it } from "vitest";
import { World } from "../../sim/world.ts";
import type { Client, Outcome } from "../../src/index.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { LateCoordinator } from "../support/late-coordinator.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

/** One way between two regions, in milliseconds; half a millisecond inside of one. */
const WAY_MS: Readonly<Record<string, number>> = { "east south": 60, "east west": 40, "south west": 90 };
const REGIONS = ["east", "south", "west"];
const ENDPOINTS = REGIONS.map((region) => `${region}:1`);

/** Places are called by their region and what stands there, such as `east phone`; a node bears its region's name. */
function latencyMs(from: string, to: string): number {
  const [a, b] = [from, to].map((place) => place.split(" ")[0]).sort();
  return a === b ? 0.5 : (WAY_MS[`${a} ${b}`] ?? 0);
}

async function setUp() {
  const world = new World({ telemetry: new MemoryTelemetry(), regions: REGIONS, latencyMs });
  const roads = new Map(REGIONS.map((region) => [region, new LateCoordinator(world.coordinator, world.clock)]));
  for (const region of REGIONS) await world.start(region, region, roads.get(region));
  await world.clock.advance(5_000);
  return { world, roads };
}

/** Nothing passes any more between a region's node and these clients, the other nodes, and the coordinator; no end is told. */
function lose({ world, roads }: Awaited<ReturnType<typeof setUp>>, region: string, clients: readonly string[]): void {
  roads.get(region)?.cut();
  for (const place of [...REGIONS, ...clients]) if (place !== region) world.network.cut(region, place);
}

function restore({ world, roads }: Awaited<ReturnType<typeof setUp>>, region: string, clients: readonly string[]): void {
  roads.get(region)?.heal();
  for (const place of [...REGIONS, ...clients]) if (place !== region) world.network.heal(region, place);
}

/** When the client was ready where, by the virtual clock. */
function stays(world: World, client: Client): { readonly region: string; readonly atMs: number }[] {
  const seen: { readonly region: string; readonly atMs: number }[] = [];
  client.on("state", (state) => {
    if (state.status === "ready") seen.push({ region: state.region, atMs: world.clock.monotonicMs() });
  });
  return seen;
}

describe("clients of nodes in three regions", () => {
  it("each use the region that they stand in, and know the way to it", async () => {
    const { world } = await setUp();
    const clients = REGIONS.map((region) => world.client(`${region} phone`, { endpoints: ENDPOINTS }));
    await world.clock.advance(100);
    expect(clients.map(({ state }) => state)).toMatchObject(
      REGIONS.map((region) => ({ status: "ready", region, endpoint: `${region}:1`, rttMs: 1 })),
    );
    await world.clock.advance(600_000);
    expect(clients.map(({ state }) => state.status === "ready" && state.region)).toEqual(REGIONS);
  });

  it("re-route within a round trip and 3 s when their region is cut, return when it is back, and lose and repeat nothing [G1] [G3] [G4]", async () => {
    const parts = await setUp();
    const { world } = parts;
    const places = ["east phone", "east reader"];
    const phone = world.client("east phone", { endpoints: ENDPOINTS, sender: "ada" });
    const reader = world.client("east reader", { endpoints: ENDPOINTS });
    const got: string[] = [];
    reader.subscribe("standup@west", { onMessage: ({ seq, body }) => void got.push(`${seq} ${Buffer.from(body)}`) });
    const visits = [phone, reader].map((client) => stays(world, client));
    const sends: Promise<Outcome>[] = [];
    const talk = async (durationMs: number) => {
      const endMs = world.clock.monotonicMs() + durationMs;
      while (world.clock.monotonicMs() < endMs) {
        sends.push(phone.send("standup@west", String(sends.length)));
        await world.clock.advance(50);
      }
    };

    await talk(2_000);
    const cutMs = world.clock.monotonicMs();
    lose(parts, "east", places);
    await talk(20_000);
    restore(parts, "east", places);
    await talk(40_000);
    const outcomes = await world.clock.until(Promise.all(sends));
    await world.clock.advance(LIMITS.feedSilenceMs);

    for (const visited of visits) {
      expect(visited.map(({ region }) => region)).toEqual(["east", "west", "east"]);
      expect((visited[1]?.atMs ?? 0) - cutMs).toBeLessThanOrEqual(3_000 + 80);
    }
    expect(outcomes.map((outcome) => outcome.status === "committed" && outcome.seq)).toEqual(sends.map((_, n) => n + 1));
    expect(got).toEqual(sends.map((_, n) => `${n + 1} ${n}`));
  });

  it("leave a node that has lost its lease, although they reach it, and pass by it when they come", async () => {
    const { world, roads } = await setUp();
    const client = world.client("south phone", { endpoints: ENDPOINTS });
    await world.clock.advance(1_000);
    roads.get("south")?.cut();
    await world.clock.advance(LIMITS.embeddedLeaseTtlMs + 2 * LIMITS.probeMs);
    expect(client.state).toMatchObject({ status: "ready", region: "east", rttMs: 120 });
    const late = world.client("south laptop", { endpoints: ENDPOINTS });
    await world.clock.advance(1_000);
    expect(late.state).toMatchObject({ status: "ready", region: "east" });
  });

  it("stay while a node that stops hands its shards over, and go on elsewhere when it says so", async () => {
    const { world } = await setUp();
    const client = world.client("west phone", { endpoints: ENDPOINTS, sender: "ada" });
    const visited = stays(world, client);
    await world.clock.advance(1_000);
    const west = world.nodes.find(({ options }) => options.region === "west");
    const stopped = west?.stop();
    await world.clock.until(west?.membership.stop() ?? Promise.resolve());
    const saidMs = world.clock.monotonicMs();
    expect(visited).toHaveLength(1);
    await world.clock.until(stopped ?? Promise.resolve());
    expect(await world.clock.until(client.send("standup@east", "x"))).toMatchObject({ status: "committed", seq: 1 });
    expect(visited.map(({ region }) => region)).toEqual(["west", "east"]);
    expect((visited[1]?.atMs ?? 0) - saidMs).toBeLessThanOrEqual(1 + 80);
  });
});
