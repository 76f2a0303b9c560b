import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import type { Outcome } from "../../../src/client/outcome.ts";
import { toErrorDetail } from "../../../src/kernel/error-wire.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { ROOT_HASH } from "../../../src/kernel/hash.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type ScriptedGateway, TestClient, World } from "./scripted-gateway.ts";

describe("the connection", () => {
  let clock: VirtualClock;
  let world: World;

  beforeEach(() => {
    clock = new VirtualClock();
    world = new World(clock);
  });

  it("tells its states, and is usable before it is ready", async () => {
    const client = world.client();
    expect(client.state).toEqual({ status: "connecting", endpoint: "a:1" });
    const outcome = client.send("standup", "early");
    await clock.advance(1_000);
    expect(client.state.status).not.toBe("ready");
    world.gateway();
    expect(await clock.until(outcome)).toMatchObject({ status: "committed" });
    expect(client.state).toEqual({ status: "ready", endpoint: "a:1", node: "a:1", region: "eu" });
    await clock.until(client.close());
    expect(client.state).toEqual({ status: "closed" });
    expect(client.states.map(({ status }) => status).slice(0, 3)).toEqual(["waiting", "connecting", "waiting"]);
    expect(client.states.at(-1)).toEqual({ status: "closed" });
  });

  it("tries the endpoints in their order while none answers, each at once, and pauses before it begins again", async () => {
    const client = world.client({ endpoints: ["a:1", "b:1", "c:1"] });
    await clock.advance(4_000);
    expect(endpointsOf(client).slice(0, 6)).toEqual(["a:1", "b:1", "c:1", "a:1", "b:1", "c:1"]);
    const pauses = client.states.flatMap((state) => (state.status === "waiting" ? [state.retryInMs] : []));
    expect(pauses.slice(0, 2)).toEqual([0, 0]);
    expect(pauses.slice(2).every((pauseMs) => pauseMs > 0)).toBe(true);
    const c = world.gateway("c:1");
    await clock.advance(10_000);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "c:1" });
    expect(c.peers.length).toBe(1);
  });

  it("pauses longer after each failure in a row, up to 2 s [G9]", async () => {
    const client = world.client();
    await clock.advance(120_000);
    const pauses = client.states.flatMap((state) => (state.status === "waiting" ? [state.retryInMs] : []));
    expect(pauses[0]).toBeLessThan(100);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(2_000);
    expect(Math.max(...pauses)).toBeGreaterThan(1_000);
    expect(pauses.length).toBeGreaterThan(20);
  });

  it("does not call a node in a hot loop that lets in and throws out", async () => {
    const gateway = world.gateway();
    gateway.script = (peer, frame) => {
      if (frame.case === "hello") {
        peer.handle(frame);
        peer.break();
        return true;
      }
      return false;
    };
    world.client();
    await clock.advance(60_000);
    expect(gateway.peers.length).toBeGreaterThan(5);
    expect(gateway.peers.length).toBeLessThan(80);
  });

  it("re-routes within 3 s and a round trip when a node falls silent while a send waits for its answer", async () => {
    const a = world.gateway("a:1");
    world.gateway("b:1");
    const client = world.client({ endpoints: ["a:1", "b:1"] });
    await clock.advance(100);
    a.script = () => true;
    const outcome = client.send("standup", "x");
    const sentMs = clock.monotonicMs();
    expect(await clock.until(outcome)).toMatchObject({ status: "committed" });
    expect(clock.monotonicMs() - sentMs).toBeLessThan(3_000 + 200);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "b:1" });
  });

  it("notices a silent node also while it only listens", async () => {
    const a = world.gateway("a:1");
    const client = world.client({ endpoints: ["a:1", "b:1"] });
    world.gateway("b:1");
    await clock.advance(100);
    a.script = () => true;
    await clock.advance(LIMITS.pingIdleMs + LIMITS.pingAnswerMs + 1_000);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "b:1" });
  });

  it("keeps a session that answers its pings, for hours", async () => {
    const gateway = world.gateway();
    const client = world.client();
    await clock.advance(3_600_000);
    expect(gateway.peers.length).toBe(1);
    expect(gateway.peer.all("ping").length).toBeGreaterThan(300);
    expect(client.state.status).toBe("ready");
  });

  it("goes elsewhere when the node says goodbye, and sends again there what had no answer", async () => {
    const a = world.gateway("a:1");
    world.gateway("b:1");
    const client = world.client({ endpoints: ["a:1", "b:1"] });
    a.script = (peer, frame) => {
      if (frame.case !== "submit") return false;
      peer.send({ case: "goodbye", value: { reason: toErrorDetail(new MeridianError("UNAVAILABLE", "maintenance")) } });
      return true;
    };
    expect(await clock.until(client.send("standup", "x"))).toMatchObject({ status: "committed" });
    expect(client.state).toMatchObject({ endpoint: "b:1" });
    expect(client.states).toContainEqual(
      expect.objectContaining({ status: "waiting", error: expect.objectContaining({ message: "maintenance" }) }),
    );
  });

  it("gives a node up after 3 s that takes the connection but never answers the hello [G9]", async () => {
    world.gateway().script = () => true;
    const client = world.client();
    await clock.advance(LIMITS.pingMs + LIMITS.pingAnswerMs - 1);
    expect(client.state).toEqual({ status: "connecting", endpoint: "a:1" });
    await clock.advance(1);
    expect(client.state).toMatchObject({ status: "waiting" });
  });

  it("reads a history, asks who leads, and takes ids", async () => {
    world.gateway();
    const log = world.log();
    log.say("a", "-", "c");
    const client = world.client();
    const history = await clock.until(client.history("standup", { limit: 3 }));
    expect(history).toMatchObject({ through: 3, head: 3 });
    expect(history.messages).toMatchObject([
      { conversation: "standup", seq: 1, id: 1_001n, sender: "bob", key: undefined, traceparent: undefined },
      { seq: 3 },
    ]);
    expect(await clock.until(client.locate("standup"))).toEqual({
      home: "eu",
      shard: 7,
      leader: "eu-1",
      epoch: 9n,
      head: log.head,
    });
    expect(await clock.until(client.generateIds(2))).toEqual([1n, 2n]);
  });

  it("locates an empty conversation", async () => {
    world.gateway();
    expect(await clock.until(world.client().locate("standup"))).toMatchObject({ head: { seq: 0, hash: ROOT_HASH } });
  });

  it("asks again until a node answers, for at most 10 s [G9]", async () => {
    const client = world.client();
    const located = client.locate("standup");
    await clock.advance(2_000);
    world.gateway();
    expect(await clock.until(located)).toMatchObject({ home: "eu" });

    const lonely = world.client({ endpoints: ["nobody:1"] });
    const asked = clock.monotonicMs();
    const failed = lonely.locate("standup").then(
      () => "well",
      (error) => error.code,
    );
    expect(await clock.until(failed)).toBe("UNAVAILABLE");
    expect(clock.monotonicMs() - asked).toBeLessThanOrEqual(LIMITS.callDeadlineMs);
  });

  it.each([
    ["a history before the beginning", (client: TestClient) => client.history("standup", { after: -1 })],
    ["a history of nothing", (client: TestClient) => client.history("standup", { limit: 0 })],
    ["a history of too much", (client: TestClient) => client.history("standup", { limit: 1_001 })],
    ["no ids", (client: TestClient) => client.generateIds(0)],
    ["a conversation without a name", (client: TestClient) => client.locate("")],
  ])("throws for misuse: %s", async (_what, misuse) => {
    await expect(misuse(world.client())).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it.each([[[]], [["localhost"]], [[""]]])("throws for endpoints that are none: %j", (endpoints) => {
    expect(() => new TestClient(world, { endpoints })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it("gives what nobody listens for to the one who must hear it, and events only to those who listen", async () => {
    world.gateway();
    const client = world.client();
    world.log().say("poison");
    const heard: string[] = [];
    const forget = client.on("fault", ({ what }) => heard.push(what));
    const load = () => {
      throw new Error("no");
    };
    client.subscribe("standup", { cursors: { load, save: () => {} }, onMessage: () => {} });
    await clock.advance(60_000);
    expect(heard.length).toBeGreaterThan(0);
    expect(client.faults).toEqual([]);
    forget();
    client.subscribe("standup", { cursors: { load, save: () => {} }, onMessage: () => {} });
    await clock.advance(60_000);
    expect(client.faults.length).toBe(heard.length);
  });

  it("is closed at the end of its scope, after the cursors of its subscriptions were saved [G4]", async () => {
    world.gateway();
    world.log().say("a");
    const use = async () => {
      await using client = world.client();
      client.subscribe("standup", { consumer: "web", onMessage: () => {} });
      await clock.advance(22);
      expect(world.log().cursors.get("web")).toBeUndefined();
      return client;
    };
    const client = await clock.until(use());
    expect(client.state.status).toBe("closed");
    expect(world.log().cursors.get("web")).toBe(1);
    expect(() => client.subscribe("standup")).toThrow(/closed/);
    await expect(client.locate("standup")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("leaves nothing behind when it is closed: no timer runs on", async () => {
    const gateway = world.gateway();
    const client = world.client();
    client.subscribe("standup", { onMessage: () => {} });
    await clock.until(client.send("standup", "x"));
    await clock.until(client.close());
    await clock.advance(60_000);
    const frames = gateway.peer.frames.length;
    await clock.advance(600_000);
    expect(gateway.peers.length).toBe(1);
    expect(gateway.peer.frames.length).toBe(frames);
    await expect(clock.until(new Promise(() => {}))).rejects.toThrow("nothing is left to happen");
  });
});

describe("the connection to one of several nodes", () => {
  let clock: VirtualClock;
  let world: World;
  let gateways: Record<"near" | "middle" | "far", ScriptedGateway>;
  const endpoints = ["far:1", "middle:1", "near:1"];

  beforeEach(() => {
    clock = new VirtualClock();
    world = new World(clock);
    const distances = { near: 5, middle: 40, far: 120 };
    for (const [place, ms] of Object.entries(distances)) world.distanceMs.set(place, ms);
    gateways = { near: world.gateway("near:1"), middle: world.gateway("middle:1"), far: world.gateway("far:1") };
  });

  const connected = async () => {
    const client = world.client({ endpoints });
    await clock.advance(1_000);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "near:1" });
    return client;
  };

  it("goes to the nearest at once: a round trip to find it, another for the hello", async () => {
    const client = world.client({ endpoints });
    expect(client.state).toEqual({ status: "choosing" });
    await clock.advance(20);
    expect(client.state).toEqual({ status: "ready", endpoint: "near:1", node: "near:1", region: "eu", rttMs: 10 });
    await clock.advance(60_000);
    expect(gateways.middle.peers.length + gateways.far.peers.length).toBe(0);
  });

  it("prefers a farther node to one that does not serve", async () => {
    gateways.near.serving = false;
    const client = world.client({ endpoints });
    await clock.advance(1_000);
    expect(client.state).toMatchObject({ endpoint: "middle:1", rttMs: 80 });
  });

  it("goes to a node that does not serve if no other answers", async () => {
    for (const gateway of [gateways.middle, gateways.far]) gateway.close();
    gateways.near.serving = false;
    const client = world.client({ endpoints });
    await clock.advance(1_000);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "near:1" });
  });

  it("leaves a node that does not serve any more", async () => {
    const client = await connected();
    gateways.near.serving = false;
    await clock.advance(10_000);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "middle:1" });
    expect(endpointsOf(client)).toEqual(["near:1", "middle:1"]);
    expect(client.states.filter(({ status }) => status === "waiting")).toEqual([]);
  });

  it("goes to the next nearest without a pause when the session breaks, and later back", async () => {
    const client = await connected();
    gateways.near.peer.break();
    await clock.advance(5 + 80);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "middle:1" });
    await clock.advance(60_000);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "near:1" });
    expect(endpointsOf(client)).toEqual(["near:1", "middle:1", "near:1"]);
  });

  it("finds out within 3 s and a round trip that it is cut off, also while it waits for nothing", async () => {
    const client = await connected();
    await clock.advance(7_300);
    world.network.cut("client", "near");
    await clock.advance(3_000 + 80);
    expect(client.state).toMatchObject({ status: "ready", endpoint: "middle:1" });
  });

  it.each([
    ["at the first silence", 0],
    ["after a silence that passed", LIMITS.pingAnswerMs - 100],
  ])(
    "does not lose time at a neighbour that was cut off as well, %s: only who answers now is tried",
    async (_when, silenceMs) => {
      const client = await connected();
      gateways.near.script = (peer, frame) => {
        clock.after(silenceMs, () => peer.handle(frame));
        return true;
      };
      await clock.advance(10_000);
      gateways.near.script = () => false;
      await clock.advance(2_000);
      expect(client.state).toMatchObject({ status: "ready", endpoint: "near:1" });
      world.network.cut("client", "near");
      world.network.cut("client", "middle");
      await clock.advance(3_000 + 240);
      expect(client.state).toMatchObject({ status: "ready", endpoint: "far:1" });
    },
  );

  it("repeats what has no outcome when it moves: nothing is lost, nothing stands twice [G3]", async () => {
    gateways.near.serving = false;
    const client = world.client({ endpoints });
    await clock.advance(1_000);
    gateways.near.serving = true;
    const sends: Promise<Outcome>[] = [];
    for (let n = 0; n < 400; n += 1) {
      sends.push(client.send("standup", String(n)));
      await clock.advance(50);
    }
    expect(endpointsOf(client)).toEqual(["middle:1", "near:1"]);
    const outcomes = await clock.until(Promise.all(sends));
    expect(outcomes.map((outcome) => outcome.status === "committed" && outcome.seq)).toEqual(sends.map((_, n) => n + 1));
    expect(world.log().texts).toEqual(sends.map((_, n) => String(n)));
  });

  it("asks elsewhere when the node that was asked falls silent [G9]", async () => {
    const client = await connected();
    world.network.cut("client", "near");
    const askedMs = clock.monotonicMs();
    let readyMs = 0;
    client.on("state", () => {
      readyMs = clock.monotonicMs();
    });
    expect(await clock.until(client.locate("standup"))).toMatchObject({ home: "eu" });
    expect(clock.monotonicMs() - askedMs).toBeLessThanOrEqual(3_000 + 80);
    expect(clock.monotonicMs()).toBe(readyMs);
  });

  it("leaves nothing behind when it is closed, chosen or not: no probe runs on", async () => {
    const early = world.client({ endpoints });
    await clock.until(early.close());
    const client = await connected();
    await clock.until(client.close());
    const { probes } = gateways.near;
    await clock.advance(600_000);
    expect(gateways.near.probes).toBe(probes);
    await expect(clock.until(new Promise(() => {}))).rejects.toThrow("nothing is left to happen");
  });
});

/** Where the client tried to connect, in order. */
function endpointsOf(client: TestClient): string[] {
  return client.states.flatMap((state) => (state.status === "connecting" ? [state.endpoint] : []));
}
