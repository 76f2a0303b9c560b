import { describe, expect, it } from "vitest";
import { World } from "../../sim/world.ts";
import { LateCoordinator } from "../support/late-coordinator.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

const CONVERSATIONS = Array.from({ length: 12 }, (_, at) => `stop-${at}`);
const EVERY_MS = 10;
const WAY_MS = 5;

/** Two nodes of one region, and people at the first one who say something in every conversation all the time. */
async function setUp() {
  const world = new World({ telemetry: new MemoryTelemetry() });
  const coordinator = new LateCoordinator(world.coordinator, world.clock);
  coordinator.delay({ requestMs: WAY_MS, answerMs: WAY_MS });
  const first = await world.start("first", "local", coordinator);
  await world.start("second", "local");
  await world.clock.advance(5_000);
  const client = world.client("phone", { endpoints: ["first:1", "second:1"], sender: "ada" });
  return { world, first, client };
}

describe("a node that stops", () => {
  it("hands its shards over before it sends its clients elsewhere, and stalls nobody [G1] [G3] [G4] [G7]", async () => {
    const { world, first, client } = await setUp();
    const [leaving, staying] = world.nodes;
    if (leaving === undefined || staying === undefined) throw new Error("two nodes were started");
    const got: string[] = [];
    const reader = world.client("reader", { endpoints: ["second:1"] });
    for (const name of CONVERSATIONS)
      reader.subscribe(name, { onMessage: (m) => void got.push(`${name} ${Buffer.from(m.body)}`) });
    /** The longest time that a reader at the node which stops was handed nothing. */
    let quietMs = 0;
    const heardMs = new Map<string, number>();
    for (const name of CONVERSATIONS) {
      const onMessage = () => {
        const nowMs = world.clock.monotonicMs();
        quietMs = Math.max(quietMs, nowMs - (heardMs.get(name) ?? nowMs));
        heardMs.set(name, nowMs);
      };
      client.subscribe(name, { onMessage });
    }
    const acked = new Map(CONVERSATIONS.map((name) => [name, world.clock.monotonicMs()]));
    let stallMs = 0;
    let sent = 0;
    const ends: Promise<string>[] = [];
    const talk = async (forMs: number) => {
      for (const endMs = world.clock.monotonicMs() + forMs; world.clock.monotonicMs() < endMs; ) {
        for (const name of CONVERSATIONS) {
          ends.push(
            client.send(name, String(sent)).then(({ status }) => {
              stallMs = Math.max(stallMs, world.clock.monotonicMs() - (acked.get(name) ?? 0));
              acked.set(name, world.clock.monotonicMs());
              return status;
            }),
          );
        }
        sent += 1;
        await world.clock.advance(EVERY_MS);
      }
    };
    const led = () => staying.membership.shards().length;
    await talk(500);
    expect(leaving.membership.shards().length).toBeGreaterThan(40);
    const gone: { readonly state: string; readonly led: number }[] = [];
    client.on("state", ({ status }) => void gone.push({ state: status, led: led() }));

    const stopping = leaving.stop();
    expect(leaving.reasons()).toEqual(["the node is stopping"]);
    await talk(2_000);
    await world.clock.until(stopping);
    await first.stop();
    await talk(500);

    expect(gone[0]).toMatchObject({ led: 128 });
    expect(client.state).toMatchObject({ status: "ready", node: "second" });
    expect(new Set(await world.clock.until(Promise.all(ends)))).toEqual(new Set(["committed"]));
    expect(stallMs).toBeLessThan(100);
    expect(quietMs).toBeLessThan(100);
    await world.clock.advance(5_000);
    for (const name of CONVERSATIONS) {
      const heard = got.filter((line) => line.startsWith(`${name} `));
      expect(heard).toEqual(Array.from({ length: sent }, (_, n) => `${name} ${n}`));
    }
  });
});
