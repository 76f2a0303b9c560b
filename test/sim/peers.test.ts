import { describe, expect, it } from "vitest";
import { PeerService } from "../../src/gen/meridian/v1/peer_pb.ts";
import { MeridianError } from "../../src/kernel/errors.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import type { Batch } from "../../src/log/batch.ts";
import type { Attachment, Fate } from "../../src/routing/leaders.ts";
import { endOf } from "../support/chains.ts";
import { Mesh, type MeshNode } from "../support/mesh.ts";
import { run } from "../support/sends.ts";

const C = "standup";
const big = "x".repeat(512 * 1_024);

/** What becomes of a promise, without anybody waiting for it. */
function watched<T>(promise: Promise<T>): { outcome: T | MeridianError | undefined; atMs: number } {
  const seen: { outcome: T | MeridianError | undefined; atMs: number } = { outcome: undefined, atMs: 0 };
  promise.then(
    (value) => {
      seen.outcome = value;
    },
    (error: unknown) => {
      seen.outcome = MeridianError.from(error);
    },
  );
  return seen;
}

function listening(clock: Mesh["clock"]) {
  const batches: Batch[] = [];
  const ends: { readonly error: MeridianError; readonly atMs: number }[] = [];
  return {
    batches,
    ends,
    listener: {
      batch: (batch: Batch) => batches.push(batch),
      end: (error: MeridianError) => ends.push({ error, atMs: clock.monotonicMs() }),
    },
  };
}

/** Two nodes; the second one leads `standup`. */
async function pair(options: { readonly latencyMs?: number } = {}): Promise<{ mesh: Mesh; gateway: MeshNode; leader: MeshNode }> {
  const mesh = new Mesh(options);
  const [gateway, leader] = (await mesh.linked("eu", "us")) as [MeshNode, MeshNode];
  gateway.view.set(C, leader.address);
  return { mesh, gateway, leader };
}

describe("sends between nodes", () => {
  it("take one way there and one way back [G1]", async () => {
    const { mesh, gateway, leader } = await pair({ latencyMs: 40 });
    const sentMs = mesh.clock.monotonicMs();
    const fates = await mesh.clock.until(gateway.router.submit(run(1, ["a", "b"])));
    expect(mesh.clock.monotonicMs() - sentMs).toBe(80);
    expect(fates).toEqual([
      { kind: "placed", seq: 1, id: 1_000n },
      { kind: "placed", seq: 2, id: 1_001n },
    ]);
    expect(leader.leaders.runs).toMatchObject([{ conversation: C, producer: 7n, sender: "ada", firstCounter: 1 }]);
  });

  it("keep a producer's order, also in portions [G7]", async () => {
    const { mesh, gateway, leader } = await pair();
    const texts = Array.from({ length: 5 }, () => big);
    const sent = Array.from({ length: 40 }, (_, i) =>
      gateway.router.submit(run(1 + 5 * i, i === 7 ? texts : ["a", "b", "c", "d", "e"])),
    );
    const fates = (await mesh.clock.until(Promise.all(sent))).flat() as Extract<Fate, { kind: "placed" }>[];
    const counters = leader.leaders.runs.flatMap(({ firstCounter, items }) => items.map((_, i) => firstCounter + i));
    expect(counters).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(fates.map(({ seq }) => seq)).toEqual(counters);
  });

  it("bring back each message's own refusal, and the refusal of a whole run [G6]", async () => {
    const { mesh, gateway, leader } = await pair();
    leader.leaders.hold = true;
    const first = gateway.router.submit(run(1, ["a", "b"]));
    const second = watched(gateway.router.submit(run(3, ["c"])));
    await mesh.clock.advance(100);
    const refused = new MeridianError("KEY_CONFLICT", "used", { details: { seq: "9" } });
    leader.leaders.held[1]?.answer.reject(new MeridianError("OVERLOADED", "too much"));
    leader.leaders.held[0]?.answer.resolve([
      { kind: "placed", seq: 1, id: 1n },
      { kind: "refused", error: refused },
    ]);
    expect(await mesh.clock.until(first)).toMatchObject([{ seq: 1 }, { error: { code: "KEY_CONFLICT", details: { seq: "9" } } }]);
    expect(second.outcome).toMatchObject({ code: "OVERLOADED", message: "too much" });
  });

  it("follow hints from node to node, and no node forwards", async () => {
    const mesh = new Mesh();
    const [a, b, c] = (await mesh.linked("a", "b", "c")) as [MeshNode, MeshNode, MeshNode];
    a.view.set(C, b.address);
    b.leaders.elsewhere.set(C, c.address);
    b.view.set(C, c.address);
    expect(await mesh.clock.until(a.router.submit(run(1, ["x"])))).toMatchObject([{ kind: "placed" }]);
    expect([b.leaders.asked, c.leaders.runs.length]).toEqual([1, 1]);
    expect(await mesh.clock.until(a.router.describe(C))).toMatchObject({ node: "c", home: "eu", epoch: 7n, head: { seq: 1 } });
    expect(await mesh.clock.until(a.router.move(C, "us"))).toBe(8n);
    expect(c.leaders.moves).toEqual(["standup to us"]);
  });

  it("end after four hops when hints go round in a circle", async () => {
    const mesh = new Mesh();
    const [a, b, c] = (await mesh.linked("a", "b", "c")) as [MeshNode, MeshNode, MeshNode];
    a.view.set(C, b.address);
    b.leaders.elsewhere.set(C, c.address);
    c.leaders.elsewhere.set(C, b.address);
    await expect(mesh.clock.until(a.router.submit(run(1, ["x"])))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect([b.leaders.asked, c.leaders.asked]).toEqual([3, 2]);
    await expect(mesh.clock.until(a.router.move(C, "us"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("fail with UNAVAILABLE when the link breaks, and go again once there is a new one [G6]", async () => {
    const { mesh, gateway, leader } = await pair();
    leader.leaders.hold = true;
    const waiting = watched(gateway.router.submit(run(1, ["a"])));
    await mesh.clock.advance(100);
    mesh.network.breakStreams(gateway.address);
    await mesh.clock.advance(1);
    expect(waiting.outcome).toMatchObject({ code: "UNAVAILABLE", retry: "elsewhere" });
    await expect(mesh.clock.until(gateway.router.submit(run(1, ["a"])))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    leader.leaders.hold = false;
    await mesh.clock.advance(1_000);
    expect(await mesh.clock.until(gateway.router.submit(run(1, ["a"])))).toMatchObject([{ kind: "placed", seq: 1 }]);
  });

  it("fail within 3 s and a second when the other node falls silent", async () => {
    const { mesh, gateway, leader } = await pair();
    const waiting = watched(
      gateway.router.submit(run(1, ["a"])).finally(() => {
        waiting.atMs = mesh.clock.monotonicMs();
      }),
    );
    const cutMs = mesh.clock.monotonicMs();
    mesh.network.cut("eu", "us");
    await mesh.clock.advance(4_000);
    expect(waiting.outcome).toMatchObject({ code: "UNAVAILABLE" });
    expect(waiting.atMs - cutMs).toBeLessThanOrEqual(LIMITS.feedSilenceMs);
    expect(gateway.reaches(leader.address)).toBe(false);
    mesh.network.heal("eu", "us");
    await mesh.clock.advance(LIMITS.feedSilenceMs + 2_000);
    expect(gateway.reaches(leader.address)).toBe(true);
  });

  it("are refused with OVERLOADED when too many wait for a leader, and the others are placed [G9]", async () => {
    const { mesh, gateway, leader } = await pair();
    mesh.network.cut("eu", "us");
    const sends = Array.from({ length: 80 }, (_, i) => watched(gateway.router.submit(run(i + 1, [big]))));
    await mesh.clock.advance(1_000);
    const refused = sends.filter(({ outcome }) => outcome instanceof MeridianError && outcome.code === "OVERLOADED");
    const allowed = Math.floor(LIMITS.linkRunBytes / (big.length + 2_048));
    expect(80 - refused.length).toBeGreaterThanOrEqual(allowed - 1);
    expect(80 - refused.length).toBeLessThanOrEqual(allowed + 1);
    mesh.network.heal("eu", "us");
    await mesh.clock.advance(1_000);
    expect(leader.leaders.runs).toHaveLength(80 - refused.length);
    expect(sends.filter(({ outcome }) => Array.isArray(outcome))).toHaveLength(80 - refused.length);
    expect(await mesh.clock.until(gateway.router.submit(run(81, [big])))).toMatchObject([{ kind: "placed" }]);
  });

  it("are answered before a stopping leader's node is gone", async () => {
    const { mesh, gateway, leader } = await pair();
    leader.leaders.hold = true;
    const answered = watched(gateway.router.submit(run(1, ["a"])));
    await mesh.clock.advance(100);
    const stopping = leader.peers.stop();
    await mesh.clock.advance(100);
    leader.leaders.held[0]?.answer.resolve([{ kind: "placed", seq: 1, id: 1n }]);
    await mesh.clock.until(stopping);
    expect(answered.outcome).toMatchObject([{ kind: "placed", seq: 1 }]);
    await expect(mesh.clock.until(gateway.router.submit(run(2, ["a"])))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("do not keep a stopping node waiting for longer than a second", async () => {
    const { mesh, gateway, leader } = await pair();
    leader.leaders.hold = true;
    const never = watched(gateway.router.submit(run(1, ["a"])));
    await mesh.clock.advance(100);
    const begunMs = mesh.clock.monotonicMs();
    await mesh.clock.until(leader.peers.stop());
    expect(mesh.clock.monotonicMs() - begunMs).toBeLessThanOrEqual(LIMITS.linkGoodbyeMs + 100);
    await mesh.clock.advance(100);
    expect(never.outcome).toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("feeds between nodes", () => {
  it("bring every batch after the head once, with its bytes unchanged [G1]", async () => {
    const { mesh, gateway, leader } = await pair();
    const before = await leader.leaders.commit(C, "before");
    const { batches, ends, listener } = listening(mesh.clock);
    const attachment = await mesh.clock.until(gateway.router.attach(C, listener));
    expect(attachment).toMatchObject({ head: endOf(before), epoch: 1n });
    const committed = [await leader.leaders.commit(C, "a", "b"), await leader.leaders.commit(C, "c")];
    await mesh.clock.advance(5_000);
    expect(batches).toEqual(committed);
    expect(attachment.watermark()).toEqual(leader.leaders.head(C));
    expect(ends).toEqual([]);
    attachment.detach();
    await mesh.clock.advance(100);
    expect(leader.leaders.listeners(C)).toBe(0);
    await leader.leaders.commit(C, "d");
    await mesh.clock.advance(100);
    expect(batches).toHaveLength(2);
  });

  it("cost one copy of a batch for each node, however many read there", async () => {
    const { mesh, gateway, leader } = await pair();
    const readers = Array.from({ length: 50 }, () => gateway.followers.follow(C));
    await mesh.clock.until(Promise.all(readers.map(({ follower }) => follower.ready())));
    await leader.leaders.commit(C, "a");
    await mesh.clock.advance(100);
    expect(new Set(readers.map(({ follower }) => follower.head?.seq))).toEqual(new Set([1]));
    expect([leader.leaders.attaches, leader.leaders.listeners(C)]).toEqual([1, 1]);
    await mesh.clock.until(gateway.followers.close());
    await mesh.clock.advance(100);
    expect(leader.leaders.listeners(C)).toBe(0);
  });

  it("are refused with a hint by a node that does not lead, and the hint is followed", async () => {
    const mesh = new Mesh();
    const [a, b, c] = (await mesh.linked("a", "b", "c")) as [MeshNode, MeshNode, MeshNode];
    a.view.set(C, b.address);
    b.leaders.elsewhere.set(C, c.address);
    const { follower } = a.followers.follow(C);
    await mesh.clock.until(follower.ready());
    await c.leaders.commit(C, "a");
    await mesh.clock.advance(100);
    expect(follower.head?.seq).toBe(1);
  });

  it("end within 3 s of silence, and are attached again once the other node is heard", async () => {
    const { mesh, gateway, leader } = await pair();
    const { ends, listener } = listening(mesh.clock);
    await mesh.clock.until(gateway.router.attach(C, listener));
    await mesh.clock.advance(10_000);
    expect(ends).toEqual([]);
    const cutMs = mesh.clock.monotonicMs();
    mesh.network.cut("eu", "us");
    await mesh.clock.advance(4_000);
    expect(ends.map(({ error }) => [error.code, (error.cause as MeridianError).message])).toEqual([
      ["UNAVAILABLE", "the other node was silent for 3000 ms"],
    ]);
    const waitedMs = (ends[0]?.atMs ?? 0) - cutMs;
    expect(waitedMs).toBeGreaterThan(LIMITS.feedSilenceMs - LIMITS.feedHeartbeatMs - 100);
    expect(waitedMs).toBeLessThanOrEqual(LIMITS.feedSilenceMs);
    expect(leader.leaders.listeners(C)).toBe(0);
    const { follower } = gateway.followers.follow(C);
    const committed = await leader.leaders.commit(C, "meanwhile");
    mesh.network.heal("eu", "us");
    expect(await mesh.clock.until(follower.ready())).toEqual(endOf(committed));
  });

  it("survive a cut that is shorter than that, and lose nothing [G1]", async () => {
    const { mesh, gateway, leader } = await pair();
    const { batches, ends, listener } = listening(mesh.clock);
    await mesh.clock.until(gateway.router.attach(C, listener));
    mesh.network.cut("eu", "us");
    const committed = [await leader.leaders.commit(C, "a"), await leader.leaders.commit(C, "b")];
    await mesh.clock.advance(1_900);
    expect(batches).toEqual([]);
    mesh.network.heal("eu", "us");
    await mesh.clock.advance(10_000);
    expect(batches).toEqual(committed);
    expect(ends).toEqual([]);
  });

  it("end when the heartbeat says that a batch was missed, and begin anew at the leader's head [G1]", async () => {
    const { mesh, gateway, leader } = await pair();
    const { follower } = gateway.followers.follow(C);
    await mesh.clock.until(follower.ready());
    const first = await leader.leaders.commit(C, "a");
    await mesh.clock.advance(100);
    const [feed] = [leader.leaders.feed];
    leader.leaders.feed = () => {};
    const missed = await leader.leaders.commit(C, "missed");
    leader.leaders.feed = feed;
    expect(follower.head).toEqual(endOf(first));
    await mesh.clock.advance(LIMITS.feedHeartbeatMs + 3_000);
    expect(follower.head).toEqual(endOf(missed));
    expect(gateway.telemetry.counters.get("feed.broken")).toBe(1);
    expect(leader.leaders.known).toEqual([undefined, endOf(first)]);
  });

  it("tell the next leader how far the conversation was verified here [R6]", async () => {
    const mesh = new Mesh();
    const [a, b, c] = (await mesh.linked("a", "b", "c")) as [MeshNode, MeshNode, MeshNode];
    a.view.set(C, b.address);
    const { follower } = a.followers.follow(C);
    await mesh.clock.until(follower.ready());
    const last = await b.leaders.commit(C, "a");
    await mesh.clock.advance(100);
    a.view.set(C, c.address);
    b.leaders.end(C);
    await mesh.clock.advance(3_000);
    expect(c.leaders.known).toEqual([endOf(last)]);
  });

  it("end on a slow link instead of growing, the busiest one alone [G9]", async () => {
    const { mesh, gateway, leader } = await pair();
    gateway.view.set("quiet", leader.address);
    const busy = listening(mesh.clock);
    const quiet = listening(mesh.clock);
    await mesh.clock.until(gateway.router.attach(C, busy.listener));
    await mesh.clock.until(gateway.router.attach("quiet", quiet.listener));
    mesh.network.cut("eu", "us");
    const committed: Batch[] = [];
    for (let i = 0; i < 60; i += 1) {
      await leader.leaders.commit(C, big);
      if (i % 10 === 0) committed.push(await leader.leaders.commit("quiet", `${i}`));
      await mesh.clock.advance(10);
    }
    expect(leader.telemetry.counters.get("link.feeds-cut")).toBe(1);
    expect(leader.leaders.listeners(C)).toBe(0);
    mesh.network.heal("eu", "us");
    await mesh.clock.advance(2_000);
    expect(quiet.batches).toEqual(committed);
    expect([busy.ends.map(({ error }) => error.code), quiet.ends]).toEqual([["OVERLOADED"], []]);
    const again = listening(mesh.clock);
    const attachment: Attachment = await mesh.clock.until(gateway.router.attach(C, again.listener));
    expect(attachment.head).toEqual(leader.leaders.head(C));
  });
});

describe("links between nodes", () => {
  it("are opened in both directions, and again after a restart", async () => {
    const { mesh, gateway, leader } = await pair();
    leader.kill();
    await mesh.clock.advance(5_000);
    expect(gateway.reaches(leader.address)).toBe(false);
    leader.serve(mesh);
    await mesh.clock.advance(2_000);
    expect([gateway.reaches(leader.address), leader.reaches(gateway.address)]).toEqual([true, true]);
    expect(await mesh.clock.until(gateway.router.submit(run(1, ["x"])))).toMatchObject([{ kind: "placed" }]);
  });

  it("stay while they work, though the other node has no key any more, and are forgotten once they break", async () => {
    const { mesh, gateway, leader } = await pair();
    mesh.setLive(leader, false);
    await mesh.clock.advance(10_000);
    expect(await mesh.clock.until(gateway.router.submit(run(1, ["x"])))).toMatchObject([{ kind: "placed" }]);
    leader.kill();
    await mesh.clock.until(leader.peers.stop());
    await mesh.clock.advance(5_000);
    expect(gateway.peers.links()).toEqual([]);
    await expect(mesh.clock.until(gateway.router.submit(run(2, ["x"])))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("are not kept by a node that has stopped", async () => {
    const { mesh, gateway, leader } = await pair();
    await mesh.clock.until(leader.peers.stop());
    await mesh.clock.advance(5_000);
    expect(gateway.reaches(leader.address)).toBe(false);
    expect(leader.peers.links()).toEqual([]);
  });

  it("are refused to a node without a name, and to one with the same address", async () => {
    const { mesh, gateway } = await pair();
    const channel = mesh.network.from("stranger").channel(gateway.address);
    for (const frame of [{}, { hello: { node: "twin", address: gateway.address } }]) {
      const stream = channel.duplex(PeerService.method.link);
      stream.write(frame);
      const reading = (async () => {
        for await (const _ of stream.frames);
      })();
      await expect(mesh.clock.until(reading)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });

  it("replace an older one of the same node", async () => {
    const { mesh, gateway, leader } = await pair();
    const channel = mesh.network.from("us").channel(gateway.address);
    const stream = channel.duplex(PeerService.method.link);
    stream.write({ hello: { node: "us", address: leader.address } });
    const runs: bigint[] = [];
    const reading = async () => {
      for await (const frame of stream.frames) runs.push(...frame.runs.map(({ request }) => request));
    };
    const link = watched(reading());
    await mesh.clock.advance(30);
    const sent = watched(gateway.router.submit(run(1, ["x"])));
    await mesh.clock.advance(30);
    expect(runs).toHaveLength(1);
    // The real node opens its link again, and that one takes the place of this one in turn.
    await mesh.clock.advance(1_000);
    expect(link.outcome).toMatchObject({ code: "UNAVAILABLE", message: "a newer link has taken the place of this one" });
    expect(sent.outcome).toMatchObject({ code: "UNAVAILABLE" });
    expect(gateway.reaches(leader.address)).toBe(true);
  });

  it("end when the opener says nothing", async () => {
    const { mesh, gateway } = await pair();
    const stream = mesh.network.from("mute").channel(gateway.address).duplex(PeerService.method.link);
    stream.write({ hello: { node: "mute", address: "mute:1" } });
    const reading = (async () => {
      for await (const _ of stream.frames);
    })();
    await expect(mesh.clock.until(reading)).rejects.toMatchObject({ message: "the other node was silent for 3000 ms" });
    await mesh.clock.advance(100);
    expect(gateway.peers.links().map(({ address }) => address)).toEqual(["us:7411"]);
  });
});
