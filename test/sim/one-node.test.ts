import { describe, expect, it } from "vitest";
import { World } from "../../sim/world.ts";
import type { Message, Outcome } from "../../src/index.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

const text = (message: Message) => Buffer.from(message.body).toString();

async function setUp() {
  const telemetry = new MemoryTelemetry();
  const world = new World({ telemetry });
  const node = await world.start("one");
  const client = world.client("laptop", { endpoints: [node.address], sender: "ada" });
  return { telemetry, world, node, client };
}

describe("a node and its clients on virtual time", () => {
  it("takes a message all the way and hands it over once [G1] [G4]", async () => {
    const { world, client } = await setUp();
    const got: string[] = [];
    client.subscribe("standup", { onMessage: (message) => void got.push(`${message.seq} ${text(message)}`) });
    const outcomes = await world.clock.until(Promise.all(["a", "b", "c"].map((body) => client.send("standup", body))));
    expect(outcomes.map((outcome) => outcome.status === "committed" && outcome.seq)).toEqual([1, 2, 3]);
    await world.clock.advance(1_000);
    expect(got).toEqual(["1 a", "2 b", "3 c"]);
  });

  it("loses and doubles nothing over broken connections while messages are on their way [G3] [G4] [G7]", async () => {
    const { world, node, client } = await setUp();
    const reader = world.client("phone", { endpoints: [node.address] });
    const got: number[] = [];
    reader.subscribe("standup", { onMessage: (message) => void got.push(Number(text(message))) });
    const sends: Promise<Outcome>[] = [];
    for (let n = 0; n < 300; n += 1) {
      sends.push(client.send("standup", String(n)));
      if (n % 10 === 0) await world.clock.advance(3);
      if (n % 50 === 25) world.network.breakStreams(n % 100 === 25 ? "laptop" : "phone");
    }
    const outcomes = await world.clock.until(Promise.all(sends));
    expect(outcomes.every(({ status }) => status === "committed")).toBe(true);
    await world.clock.advance(20_000);
    expect(got).toEqual(Array.from({ length: 300 }, (_, n) => n));
  });

  it("lets a slow reader fall back to the log, and loses nothing [G9]", async () => {
    const { world, client } = await setUp();
    const big = "x".repeat(LIMITS.bodyBytes / 2);
    const got: number[] = [];
    client.subscribe("standup", {
      onMessage: async (message) => {
        got.push(message.seq);
        await new Promise<void>((resolve) => world.clock.after(50, resolve));
      },
    });
    for (let n = 0; n < 400; n += 20) {
      await world.clock.until(Promise.all(Array.from({ length: 20 }, () => client.send("standup", big))));
    }
    await world.clock.advance(60_000);
    expect(got).toEqual(Array.from({ length: 400 }, (_, n) => n + 1));
  });

  it("puts a quiet conversation aside and goes on where it was, under the same epoch [R8] [G1]", async () => {
    const { world, node, client } = await setUp();
    await world.clock.until(client.send("standup", "before"));
    const before = await world.clock.until(client.locate("standup"));
    await world.clock.advance(LIMITS.idleMs + 10_000);
    expect(node.node.conversations.led()).toEqual([]);
    expect(await world.clock.until(client.send("standup", "after"))).toMatchObject({ status: "committed", seq: 2 });
    expect((await world.clock.until(client.locate("standup"))).epoch).toBe(before.epoch);
  });

  it("ends one leadership, and not the process, when a message breaks it, and opens the conversation again", async () => {
    const { world, node, telemetry } = await setUp();
    const poison = { ...runOf("standup", ""), items: [{ payload: Buffer.from([0xff]), key: Uint8Array.from([1]), skip: false }] };
    const submit = (run: ReturnType<typeof runOf>) => world.clock.until(node.node.conversations.submit(run));
    await expect(submit(poison)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(telemetry.events()).toContain("leader.failed");
    expect(await submit(runOf("standup", "fine"))).toMatchObject([{ kind: "placed", seq: 1 }]);
  });

  it("lets a leader go that is behind what a gateway has verified, and stays shut where the log does not reach that [R6]", async () => {
    const { world, node, telemetry } = await setUp();
    const { conversations } = node.node;
    await world.clock.until(conversations.submit(runOf("standup", "one")));
    const listener = { batch: () => {}, end: () => {} };
    const known = { seq: 2, hash: "ab".repeat(16) };
    const attach = () => world.clock.until(conversations.attach("standup", listener, known));
    await expect(attach()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(telemetry.events()).toContain("leader.behind");
    await expect(attach()).rejects.toMatchObject({ code: "CORRUPT", details: { reached: "1", told: "2" } });
  });

  it("closes a conversation once, whoever asks for it meanwhile [R8]", async () => {
    const { world, node } = await setUp();
    const { conversations } = node.node;
    await world.clock.until(conversations.submit(runOf("standup", "one")));
    const moves = [1, 2].map(() => conversations.move("standup", "nowhere").catch((error: unknown) => error));
    expect(await world.clock.until(Promise.all(moves))).toMatchObject([{ code: "INVALID_ARGUMENT" }, { code: "UNAVAILABLE" }]);
    expect(await world.clock.until(conversations.submit(runOf("standup", "two")))).toMatchObject([{ kind: "placed", seq: 2 }]);
  });

  it("goes on after a restart with a higher epoch, and knows the retries of before [G3] [R7]", async () => {
    const { world, node, client } = await setUp();
    const first = await world.clock.until(client.send("standup", "once", { key: "k" }));
    const { epoch } = await world.clock.until(client.locate("standup"));
    await node.stop();
    await world.start("one");
    expect(await world.clock.until(client.send("standup", "once", { key: "k" }))).toEqual(first);
    expect((await world.clock.until(client.locate("standup"))).epoch).toBeGreaterThan(epoch);
  });
});

describe("several nodes of one region on virtual time", () => {
  it("share the shards, and a conversation is led by one of them at a time [G1]", async () => {
    const world = new World({ telemetry: new MemoryTelemetry() });
    const one = await world.start("one");
    const two = await world.start("two");
    await world.clock.advance(30_000);
    const [a, b] = [one.node.membership.shards(), two.node.membership.shards()];
    expect(a.length + b.length).toBe(LIMITS.shardsPerRegion);
    expect(new Set([...a, ...b]).size).toBe(LIMITS.shardsPerRegion);
    expect(Math.min(a.length, b.length)).toBeGreaterThan(30);
  });

  it("hand a busy conversation over when a node joins and when it leaves, without a gap or a repeat [G1] [G3]", async () => {
    const world = new World({ telemetry: new MemoryTelemetry() });
    const one = await world.start("one");
    const client = world.client("laptop", { endpoints: ["one:1", "two:1"], sender: "ada" });
    const conversations = Array.from({ length: 40 }, (_, i) => `room-${i}`);
    const sayAll = (body: string) => world.clock.until(Promise.all(conversations.map((name) => leaderSend(world, name, body))));
    const nodes = [one];
    async function leaderSend(_: World, name: string, body: string) {
      for (let tries = 0; tries < 200; tries += 1) {
        for (const { node } of nodes) {
          const fates = await node.conversations.submit(runOf(name, body)).catch(() => undefined);
          if (fates !== undefined) return fates[0];
        }
        await new Promise<void>((resolve) => world.clock.after(100, resolve));
      }
      throw new Error(`${name} found no leader`);
    }
    await sayAll("first");
    nodes.push(await world.start("two"));
    await world.clock.advance(20_000);
    const second = await sayAll("second");
    expect(second.map((fate) => fate?.kind === "placed" && fate.seq)).toEqual(conversations.map(() => 2));
    expect(nodes.map(({ node }) => node.conversations.led().length).every((led) => led > 0)).toBe(true);
    await nodes.shift()?.stop();
    const third = await sayAll("third");
    expect(third.map((fate) => fate?.kind === "placed" && fate.seq)).toEqual(conversations.map(() => 3));
    await world.clock.until(client.close());
  });
});

describe("a conversation that is moved between regions", () => {
  it("keeps its order there and back, each time under a higher epoch [G1] [R8]", async () => {
    const telemetry = new MemoryTelemetry();
    const world = new World({ telemetry, regions: ["east", "west"] });
    const east = await world.start("e1", "east");
    const west = await world.start("w1", "west");
    const name = "standup@east";
    const say = async (node: typeof east, body: string) =>
      (await world.clock.until(node.node.conversations.submit(runOf(name, body))))[0];
    expect(await say(east, "one")).toMatchObject({ seq: 1 });
    const away = await world.clock.until(east.node.conversations.move(name, "west"));
    await world.clock.advance(2_000);
    await expect(say(east, "lost")).rejects.toMatchObject({ code: "NOT_LEADER", details: { home: "west" } });
    expect(await say(west, "two")).toMatchObject({ seq: 2 });
    const back = await world.clock.until(west.node.conversations.move(name, "east"));
    await world.clock.advance(2_000);
    expect(await say(east, "three")).toMatchObject({ seq: 3 });
    expect(back).toBeGreaterThan(away);
  });
});

function runOf(conversation: string, body: string) {
  return {
    conversation,
    producer: 0n,
    sender: "ada",
    firstCounter: 0,
    items: [{ payload: Buffer.from(body), key: new Uint8Array(), skip: false }],
    aboveId: 0n,
  };
}
