import { describe, expect, it } from "vitest";
import { Deferred } from "../../../src/kernel/deferred.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { sleep } from "../../../src/kernel/timing.ts";
import { keys } from "../../../src/membership/keys.ts";
import type { Tenure } from "../../../src/membership/tenure.ts";
import type { Txn } from "../../../src/ports/coordinator.ts";
import { Cluster, codeOf, type TestNode, writes } from "./cluster.ts";

/** The transaction gives the shard to another lease than that which holds it: a transfer, not a put to itself. */
function transfers(key: string, from: TestNode): (txn: Txn) => boolean {
  return (txn) => writes(key)(txn) && !JSON.stringify(text(txn)).includes(from.address);
}

function text(txn: Txn): readonly string[] {
  return txn.puts?.map(({ value }) => new TextDecoder().decode(value)) ?? [];
}

interface Scene {
  readonly cluster: Cluster;
  readonly a: TestNode;
  /** Joins later, and is to have the shard. */
  readonly a2: TestNode;
  readonly key: string;
  readonly tenure: Tenure;
}

/** One node owns all of eu; another is about to join that the rendezvous gives `key` to. */
async function scene(): Promise<Scene> {
  const cluster = new Cluster({ regions: ["eu"], shards: 8 });
  const a = await cluster.started("eu", "a");
  // Which of the shards the second node gets is the rendezvous' choice: a rehearsal tells.
  const rehearsal = new Cluster({ regions: ["eu"], shards: 8 });
  await rehearsal.started("eu", "a");
  const second = await rehearsal.started("eu", "a2");
  await rehearsal.clock.advance(2_000);
  const [shard = ""] = second.membership.shards();
  const number = Number(shard.split("/")[1]);
  const tenure = await cluster.tenure(a, cluster.conversation("eu", number));
  return { cluster, a, a2: cluster.node("eu", "a2"), key: keys.shard("eu", number), tenure };
}

/** The other node joins, and the drain of the shard that it is to have has begun and goes on for 400 ms. */
function drainBegun(it: Scene, end: "drained" | "failed"): Promise<void> {
  const begun = new Deferred<void>();
  it.a.drain = async (claim) => {
    if (claim === it.tenure.claim) begun.resolve();
    await sleep(it.cluster.clock, 400);
    return end;
  };
  void it.a2.membership.start();
  return it.cluster.clock.until(begun.promise);
}

async function expectOneLeader(it: Scene, leader: TestNode): Promise<Tenure> {
  await it.cluster.clock.advance(500);
  const { conversation } = it.tenure;
  const tenure = await it.cluster.tenure(leader, conversation);
  expect(tenure.look()).toBe(true);
  expect(tenure.epoch).toBeGreaterThan(it.tenure.epoch);
  expect(it.tenure.look()).toBe(false);
  const other = leader === it.a ? it.a2 : it.a;
  expect(await it.cluster.clock.until(codeOf(other.membership.tenure(conversation)))).toBe("NOT_LEADER");
  return tenure;
}

describe("shards of a region", () => {
  it("are spread over its nodes, and each moves once, drained, when a node joins", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 128 });
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("eu", "b");
    await cluster.clock.advance(3_000);
    const [some, others] = [a.membership.shards(), b.membership.shards()];
    expect(new Set([...some, ...others]).size).toBe(128);
    expect(some.length).toBeGreaterThan(40);
    expect(others.length).toBeGreaterThan(40);
    expect(new Set(a.drained.map(({ key }) => key)).size).toBe(others.length);
    const c = await cluster.started("eu", "c");
    await cluster.clock.advance(3_000);
    expect(a.membership.shards().length + b.membership.shards().length + c.membership.shards().length).toBe(128);
    expect(c.membership.shards().length).toBeGreaterThan(20);
    expect(a.membership.shards().every((shard) => some.includes(shard))).toBe(true);
    expect(b.drained.length + a.drained.length).toBe(others.length + c.membership.shards().length);
  });

  it("go to the others when a node stops, without waiting for its lease to end", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 16 });
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("eu", "b");
    await cluster.clock.advance(3_000);
    const before = cluster.clock.monotonicMs();
    await cluster.clock.until(a.membership.stop());
    await cluster.clock.advance(100);
    expect(cluster.clock.monotonicMs() - before).toBeLessThan(500);
    expect(b.membership.shards()).toHaveLength(16);
    expect(a.drained.length).toBeGreaterThan(0);
    expect(await cluster.get(keys.node("eu", "a"))).toBeUndefined();
    expect(a.membership.state).toEqual({ kind: "left" });
  });

  it("go few at a time when a node stops, and those first where conversations are led", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 64 });
    const a = await cluster.started("eu", "a");
    await cluster.started("eu", "b");
    await cluster.clock.advance(3_000);
    const mine = a.membership.shards().map((name) => Number(name.split("/")[1]));
    const inUse = mine.slice(-12);
    for (const shard of inUse) await cluster.tenure(a, cluster.conversation("eu", shard));
    let draining: number[] = [];
    const together: number[][] = [];
    a.drain = async ({ shard }) => {
      draining = [...draining, shard];
      together.push(draining);
      await sleep(cluster.clock, 10);
      draining = draining.filter((other) => other !== shard);
      return "drained";
    };
    a.drained.length = 0;
    await cluster.clock.until(a.membership.stop());
    expect(a.drained.slice(0, 12).map(({ shard }) => shard)).toEqual(inUse);
    expect(a.drained).toHaveLength(mine.length);
    const [busy, idle] = [together.slice(0, 12), together.slice(12)];
    expect(Math.max(...busy.map(({ length }) => length))).toBe(LIMITS.handoversAtOnce);
    expect(Math.max(...idle.map(({ length }) => length))).toBe(LIMITS.idleHandoversAtOnce);
    // Until those in use are given, no other is begun with.
    expect(idle.flat().filter((shard) => inUse.includes(shard))).toEqual([]);
  });

  it("go to a node that joins at once where conversations are led, and at a pace where none are", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 128 });
    const a = await cluster.started("eu", "a");
    const shards = Array.from({ length: 128 }, (_, shard) => shard);
    for (const shard of shards.slice(-24)) await cluster.tenure(a, cluster.conversation("eu", shard));
    const begun: { readonly shard: number; readonly atMs: number }[] = [];
    a.drain = ({ shard }) => {
      begun.push({ shard, atMs: cluster.clock.monotonicMs() });
      return Promise.resolve("drained");
    };
    const b = await cluster.started("eu", "b");
    await cluster.clock.advance(5_000);
    expect(begun.length).toBe(b.membership.shards().length);
    const [busy, idle] = [begun.filter(({ shard }) => shard >= 104), begun.filter(({ shard }) => shard < 104)];
    expect(busy.length).toBeGreaterThan(0);
    expect(begun.slice(0, busy.length)).toEqual(busy);
    const within = (ms: number) => idle.filter(({ atMs }) => atMs < (idle[0]?.atMs ?? 0) + ms).length;
    expect(within(LIMITS.idleHandoverRestMs)).toBe(LIMITS.idleHandoversAtOnce);
    expect(within(4 * LIMITS.idleHandoverRestMs)).toBeLessThanOrEqual(4 * LIMITS.idleHandoversAtOnce);
  });

  it("are led by a node that stops until they are handed over", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 128 });
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("eu", "b");
    await cluster.clock.advance(3_000);
    const last = a.membership.shards().at(-1)?.split("/")[1];
    const talk = cluster.conversation("eu", Number(last));
    const stopped = a.membership.stop();
    await cluster.clock.advance(100);
    const tenure = await cluster.tenure(a, talk);
    expect(tenure.look()).toBe(true);
    await cluster.clock.until(stopped);
    expect(tenure.look()).toBe(false);
    await cluster.clock.advance(100);
    expect((await cluster.tenure(b, talk)).epoch).toBeGreaterThan(tenure.epoch);
  });

  it("are given up by a node that stops and has no other", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 4 });
    const a = await cluster.started("eu", "a");
    await cluster.clock.until(a.membership.stop());
    for (let shard = 0; shard < 4; shard += 1) expect(await cluster.get(keys.shard("eu", shard))).toBeUndefined();
    const again = await cluster.started("eu", "a");
    expect(again.membership.shards()).toHaveLength(4);
  });

  it("are taken over by another region when theirs has no node, and given back when it has", async () => {
    const cluster = new Cluster({ regions: ["eu", "us", "asia"], shards: 4 });
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("us", "b");
    expect([...a.membership.shards(), ...b.membership.shards()]).toHaveLength(8);
    await cluster.clock.advance(5_000);
    expect([...a.membership.shards(), ...b.membership.shards()]).toHaveLength(12);
    const talk = cluster.conversation("us");
    const before = await cluster.tenure(b, talk);
    await cluster.clock.until(b.membership.stop());
    await cluster.clock.advance(1_000);
    expect(a.membership.shards()).toHaveLength(12);
    expect((await cluster.tenure(a, talk)).epoch).toBeGreaterThan(before.epoch);
    const b2 = await cluster.started("us", "b2");
    await cluster.clock.advance(2_000);
    expect(b2.membership.shards().filter((shard) => shard.startsWith("us/"))).toHaveLength(4);
    expect((await cluster.tenure(b2, talk)).look()).toBe(true);
  });
});

describe("a transfer", () => {
  it("gives the shard a new revision, so its conversations a higher epoch", async () => {
    const it = await scene();
    await it.cluster.clock.until(it.a2.membership.start());
    await it.cluster.clock.advance(1_000);
    await expectOneLeader(it, it.a2);
    expect(it.a.lost).toContain(it.tenure.claim);
  });

  it("seals first: nothing new is taken while what is in flight is still acked, until it is sent [R4]", async () => {
    const it = await scene();
    const ends: (() => void)[] = [];
    it.a.drain = () => new Promise((resolve) => ends.push(() => resolve("drained")));
    const sent = it.a.way.loseNext({ held: true }, { when: transfers(it.key, it.a), answerAfterMs: 300 });
    await it.cluster.clock.until(it.a2.membership.start());
    await it.cluster.clock.advance(1_000);
    expect([it.tenure.look(), it.tenure.sealed]).toEqual([true, true]);
    expect(await it.cluster.clock.until(codeOf(it.a.membership.tenure(it.tenure.conversation)))).toBe("UNAVAILABLE");
    for (const end of ends) end();
    await it.cluster.clock.until(sent.sent);
    expect(it.tenure.look()).toBe(false);
  });

  it("makes who asks meanwhile wait, and tells the new leader in the moment in which it is known", async () => {
    const it = await scene();
    await drainBegun(it, "drained");
    const asked = it.a.membership.tenure(it.tenure.conversation).catch((error: unknown) => MeridianError.from(error));
    let answered = false;
    void asked.then(() => {
      answered = true;
    });
    await it.cluster.clock.advance(300);
    expect(answered).toBe(false);
    expect(await it.cluster.clock.until(asked)).toMatchObject({ code: "NOT_LEADER", details: { leader: it.a2.address } });
    expect(it.a.lost).toContain(it.tenure.claim);
  });

  it("that is refused leaves who asked meanwhile with the claim that goes on", async () => {
    const it = await scene();
    await drainBegun(it, "failed");
    const again = await it.cluster.tenure(it.a, it.tenure.conversation);
    expect(again.claim).toBe(it.tenure.claim);
  });

  it("is guarded by the claim, and holds the receiver's lease", async () => {
    const it = await scene();
    await it.cluster.clock.until(it.a2.membership.start());
    await it.cluster.clock.advance(1_000);
    const [transfer] = it.a.way.sent.filter(({ txn }) => transfers(it.key, it.a)(txn));
    expect(transfer?.txn.guards).toEqual([{ key: it.key, modRevision: it.tenure.claim.modRevision }]);
    expect(transfer?.txn.puts?.[0]?.lease).toBe((await it.cluster.get(keys.node("eu", "a2")))?.lease);
  });

  it("that is surely refused resumes under the same claim and epoch", async () => {
    const it = await scene();
    let refused = 0;
    it.a.doctor.instead = (txn) => {
      if (!transfers(it.key, it.a)(txn)) return undefined;
      refused += 1;
      return { status: "not-applied", reason: "lease-not-found" };
    };
    await it.cluster.clock.until(it.a2.membership.start());
    await it.cluster.clock.advance(1_000);
    expect(refused).toBe(1);
    expect([it.tenure.look(), it.tenure.sealed]).toEqual([true, false]);
    expect(it.a.lost).not.toContain(it.tenure.claim);
    it.a.doctor.instead = () => undefined;
    await it.cluster.clock.advance(7_000);
    await expectOneLeader(it, it.a2);
  });

  it.each(["is answered with failed", "does not end"])("does not happen when the drain %s: the claim goes on", async (how) => {
    const it = await scene();
    it.a.drain = () => (how === "does not end" ? new Promise(() => {}) : Promise.resolve("failed"));
    await it.cluster.clock.until(it.a2.membership.start());
    await it.cluster.clock.advance(LIMITS.drainMs + 1_000);
    expect(it.a.way.sent.filter(({ txn }) => transfers(it.key, it.a)(txn))).toEqual([]);
    expect(it.tenure.look()).toBe(true);
  });
});

describe("a transfer of unknown outcome", () => {
  async function sentWithout(answer: Scene): Promise<ReturnType<TestNode["way"]["loseNext"]>> {
    const lost = answer.a.way.loseNext({ held: true }, { when: transfers(answer.key, answer.a), answerAfterMs: 100 });
    await answer.cluster.clock.until(answer.a2.membership.start());
    await answer.cluster.clock.until(lost.sent);
    return lost;
  }

  it("that has landed is obeyed when the put of the shard key to itself is refused", async () => {
    const it = await scene();
    const lost = await sentWithout(it);
    it.a.doctor.watched = (answer) => ({ ...answer, events: [] });
    expect((await lost.land()).status).toBe("applied");
    expect(it.tenure.look()).toBe(false);
    await expectOneLeader(it, it.a2);
  });

  it("that has not landed never does: the shard key was put to itself, a new claim, and all is opened anew", async () => {
    const it = await scene();
    const lost = await sentWithout(it);
    await it.cluster.clock.advance(1_000);
    expect(it.a.lost).toContain(it.tenure.claim);
    expect((await lost.land()).status).toBe("guard-failed");
    const next = await expectOneLeader(it, it.a);
    expect(next.claim.modRevision).toBeGreaterThan(it.tenure.claim.modRevision);
    const own = it.a.way.sent.find(
      ({ txn }) => writes(it.key)(txn) && txn.guards?.[0]?.modRevision === it.tenure.claim.modRevision,
    );
    expect(own?.txn.guards?.[0]?.key).toBe(it.key);
    const listed = it.a.way.sent.filter(({ txn }) => txn.guards?.[0]?.modRevision === next.claim.modRevision);
    expect(listed.some(({ txn }) => txn.ranges?.some((range) => "prefix" in range))).toBe(true);
  });

  // The transfer, the first put of the key to itself (unknown as well) and the second one land in every order.
  const orders = [
    ["transfer", "put", "second put"],
    ["put", "transfer", "second put"],
    ["transfer", "second put", "put"],
    ["put", "second put", "transfer"],
    ["second put", "transfer", "put"],
    ["second put", "put", "transfer"],
  ];
  it.each(orders)("and puts of unknown outcome leave one owner when they land as: %s, %s, %s", async (...order) => {
    const it = await scene();
    const own = (txn: Txn) => writes(it.key)(txn) && !transfers(it.key, it.a)(txn) && txn.guards?.length === 1;
    const transfer = await sentWithout(it);
    const put = it.a.way.loseNext({ held: true }, { when: own });
    const second = it.a.way.loseNext({ held: true }, { when: own, answerAfterMs: 100 });
    await it.cluster.clock.until(second.sent);
    const landings = { transfer, put, "second put": second };
    const statuses: string[] = [];
    for (const name of order) {
      expect(it.tenure.look()).toBe(false);
      statuses.push((await landings[name as keyof typeof landings].land()).status);
    }
    expect(statuses).toEqual(["applied", "guard-failed", "guard-failed"]);
    await expectOneLeader(it, order[0] === "transfer" ? it.a2 : it.a);
  });

  it("that lands after this node's lease has ended is refused: the key has gone with the lease", async () => {
    const it = await scene();
    const lost = await sentWithout(it);
    it.a.way.cut();
    await it.cluster.clock.advance(6_000);
    expect((await lost.land()).status).toBe("guard-failed");
    it.a.way.heal();
    await it.cluster.clock.advance(1_000);
    await expectOneLeader(it, it.a2);
  });
});
