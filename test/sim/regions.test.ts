import { describe, expect, it } from "vitest";
import { World } from "../../sim/world.ts";
import type { Outcome } from "../../src/index.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { LateCoordinator } from "../support/late-coordinator.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

const REGIONS = ["east", "south", "west"];

async function setUp() {
  const telemetry = new MemoryTelemetry();
  const world = new World({ telemetry, regions: REGIONS });
  const roads = new Map(REGIONS.map((region) => [region, new LateCoordinator(world.coordinator, world.clock)]));
  for (const region of REGIONS) await world.start(region, region, roads.get(region));
  await world.clock.advance(5_000);
  return { telemetry, world, roads };
}

/** Everything that this reader is handed, in order. */
function read(world: World, place: string, endpoints: readonly string[], conversation: string): string[] {
  const got: string[] = [];
  const client = world.client(place, { endpoints });
  client.subscribe(conversation, { onMessage: ({ seq, body }) => void got.push(`${seq} ${Buffer.from(body)}`) });
  return got;
}

describe("nodes in three regions on virtual time", () => {
  it("take any client's messages, and all readers see one order [G1] [G4] [G7]", async () => {
    const { world } = await setUp();
    const transcripts = REGIONS.map((region) => read(world, `reader-${region}`, [`${region}:1`], "standup@east"));
    const senders = REGIONS.map((region) => world.client(`sender-${region}`, { endpoints: [`${region}:1`], sender: region }));
    const sends = senders.flatMap((client, i) => Array.from({ length: 50 }, (_, n) => client.send("standup@east", `${i}/${n}`)));
    const outcomes = await world.clock.until(Promise.all(sends));
    expect(outcomes.every(({ status }) => status === "committed")).toBe(true);
    await world.clock.advance(5_000);
    expect(transcripts[0]).toHaveLength(150);
    expect(transcripts[1]).toEqual(transcripts[0]);
    expect(transcripts[2]).toEqual(transcripts[0]);
  });

  it("go on when the leading region is lost: nothing acknowledged is missing, nothing is doubled [G1] [G2] [G3] [G4]", async () => {
    const { world, roads } = await setUp();
    const transcripts = ["south", "west"].map((region) => read(world, `reader-${region}`, [`${region}:1`], "standup@east"));
    const client = world.client("phone", { endpoints: ["east:1", "south:1"], sender: "ada" });
    const sends: Promise<Outcome>[] = [];
    for (let n = 0; n < 100; n += 1) {
      sends.push(client.send("standup@east", String(n)));
      await world.clock.advance(20);
      if (n !== 50) continue;
      roads.get("east")?.cut();
      for (const other of ["south", "west", "phone"]) world.network.cut("east", other);
      world.network.breakStreams("east:1");
    }
    const outcomes = await world.clock.until(Promise.all(sends));
    expect(outcomes.filter(({ status }) => status !== "committed")).toEqual([]);
    await world.clock.advance(10_000);
    const said = outcomes.map((outcome, n) => `${outcome.status === "committed" && outcome.seq} ${n}`);
    expect(transcripts).toEqual([said, said]);
  });

  it("move a conversation to another region while it is written, without a gap or a repeat [G1] [G3]", async () => {
    const { world } = await setUp();
    const transcript = read(world, "reader", ["south:1"], "standup@east");
    const client = world.client("phone", { endpoints: ["west:1"], sender: "ada" });
    const sends: Promise<Outcome>[] = [];
    const before = await world.clock.until(client.locate("standup@east"));
    for (let n = 0; n < 60; n += 1) {
      sends.push(client.send("standup@east", String(n)));
      await world.clock.advance(10);
      if (n === 30) await world.clock.until(movedBy(world, "standup@east", "west"));
    }
    const outcomes = await world.clock.until(Promise.all(sends));
    await world.clock.advance(LIMITS.feedSilenceMs);
    expect(outcomes.map((outcome) => outcome.status === "committed" && outcome.seq)).toEqual(sends.map((_, n) => n + 1));
    expect(transcript).toEqual(sends.map((_, n) => `${n + 1} ${n}`));
    const after = await world.clock.until(client.locate("standup@east"));
    expect([before.home, after.home]).toEqual(["east", "west"]);
    expect(after.epoch).toBeGreaterThan(before.epoch);
  });
});

/** An operator at any node asks for the move. */
function movedBy(world: World, conversation: string, region: string): Promise<bigint> {
  const [anyNode] = world.nodes;
  if (anyNode === undefined) throw new Error("no node runs");
  return anyNode.leaders.move(conversation, region);
}
