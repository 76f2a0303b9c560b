import { describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import type { Tenure } from "../../../src/membership/tenure.ts";
import { Cluster, codeOf, type TestNode, writes } from "./cluster.ts";

const IDLE = { nothingInFlight: true };

interface Scene {
  readonly cluster: Cluster;
  /** In eu, where the conversation has its default home. */
  readonly a: TestNode;
  /** In us. */
  readonly b: TestNode;
  readonly talk: string;
  readonly key: string;
  readonly tenure: Tenure;
}

async function scene(): Promise<Scene> {
  const cluster = new Cluster();
  const a = await cluster.started("eu", "a");
  const b = await cluster.started("us", "b");
  const talk = cluster.conversation("eu");
  return { cluster, a, b, talk, key: cluster.homeKey(talk), tenure: await cluster.tenure(a, talk) };
}

/** Whoever leads the conversation in the end leads it alone, under an epoch above all that were given out before. */
async function expectOneLeader({ cluster, a, b, talk }: Scene, leader: TestNode, above: bigint): Promise<Tenure> {
  await cluster.clock.advance(500);
  const tenure = await cluster.tenure(leader, talk);
  expect(tenure.look()).toBe(true);
  expect(tenure.epoch).toBeGreaterThan(above);
  const other = leader === a ? b : a;
  expect(await cluster.clock.until(codeOf(other.membership.tenure(talk)))).toBe("NOT_LEADER");
  return tenure;
}

describe("a tenure", () => {
  it("has the claim's revision as its epoch while there is no home key, and costs the coordinator nothing", async () => {
    const { cluster, a, talk, tenure } = await scene();
    expect(tenure.epoch).toBe(BigInt(tenure.claim.modRevision));
    expect(tenure.fromHomeKey).toBe(false);
    const before = a.way.sent.filter(({ txn }) => JSON.stringify(txn).includes(talk)).length;
    for (let i = 0; i < 10; i += 1) (await cluster.tenure(a, talk)).release();
    expect(a.way.sent.filter(({ txn }) => JSON.stringify(txn).includes(talk))).toHaveLength(before);
    expect(before).toBe(0);
  });

  it("ends the conversation's tenure that was given out before: two never look true", async () => {
    const { cluster, a, talk, tenure } = await scene();
    const second = await cluster.tenure(a, talk);
    expect([tenure.look(), second.look()]).toEqual([false, true]);
    tenure.release();
    expect(second.look()).toBe(true);
    second.release();
    expect(second.look()).toBe(false);
  });

  it("sends nothing once it was released, and looks false [R4]", async () => {
    const { cluster, a, tenure } = await scene();
    tenure.release();
    const sent = a.way.sent.length;
    expect(tenure.look()).toBe(false);
    expect(await cluster.clock.until(tenure.renew())).toBeUndefined();
    expect(await cluster.clock.until(tenure.move("us", IDLE))).toEqual({ kind: "lost" });
    expect(a.way.sent).toHaveLength(sent);
  });

  it("stops to send when it is released while its put is repeated", async () => {
    const { cluster, a, key, tenure } = await scene();
    for (let i = 0; i < 100; i += 1) a.way.loseNext({ never: true }, { when: writes(key) });
    const renewed = tenure.renew();
    await cluster.clock.advance(600);
    expect(a.way.sent.filter(({ txn }) => writes(key)(txn)).length).toBeGreaterThan(1);
    tenure.release();
    const sent = a.way.sent.filter(({ txn }) => writes(key)(txn)).length;
    expect(await cluster.clock.until(renewed)).toBeUndefined();
    expect(a.way.sent.filter(({ txn }) => writes(key)(txn))).toHaveLength(sent);
  });

  it("is refused with the home region and the leader's address where another node leads", async () => {
    const { cluster, b, a, talk } = await scene();
    const error = await cluster.clock.until(b.membership.tenure(talk).catch((thrown: unknown) => MeridianError.from(thrown)));
    expect(error).toMatchObject({ code: "NOT_LEADER", retry: "elsewhere", details: { home: "eu", leader: a.address } });
    expect(b.membership.locate(talk)).toEqual({ home: "eu", shard: 0, leader: a.address });
  });
});

describe("a move", () => {
  it("gives the conversation to the other region under a higher epoch [R4]", async () => {
    const it = await scene();
    const outcome = await it.cluster.clock.until(it.tenure.move("us", IDLE));
    expect(outcome.kind).toBe("moved");
    const moved = await expectOneLeader(it, it.b, it.tenure.epoch);
    expect(outcome).toEqual({ kind: "moved", epoch: moved.epoch });
    expect(moved.fromHomeKey).toBe(true);
    expect(it.tenure.look()).toBe(false);
  });

  it("shuts the tenure in the moment it is sent, not when its answer comes [R4]", async () => {
    const { cluster, a, key, tenure } = await scene();
    const lost = a.way.loseNext({ applyAfterMs: 300 }, { when: writes(key), answerAfterMs: 400 });
    const outcome = tenure.move("us", IDLE);
    expect(tenure.look()).toBe(false);
    await cluster.clock.until(lost.sent);
    for (let i = 0; i < 8; i += 1) {
      await cluster.clock.advance(50);
      expect(tenure.look()).toBe(false);
    }
    expect(await cluster.clock.until(outcome)).toEqual({ kind: "doubt" });
    expect(tenure.look()).toBe(false);
  });

  it("is guarded by the shard key and by the home key, or by its absence", async () => {
    const it = await scene();
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    const first = it.a.way.sent.find(({ txn }) => writes(it.key)(txn));
    expect(first?.txn.guards).toEqual([
      { key: it.tenure.claim.key, modRevision: it.tenure.claim.modRevision },
      { key: it.key, modRevision: 0 },
    ]);
    const moved = await expectOneLeader(it, it.b, it.tenure.epoch);
    await it.cluster.clock.until(moved.move("eu", IDLE));
    const second = it.b.way.sent.find(({ txn }) => writes(it.key)(txn));
    expect(second?.txn.guards).toEqual([
      { key: moved.claim.key, modRevision: moved.claim.modRevision },
      { key: it.key, modRevision: Number(moved.epoch) },
    ]);
  });

  it("and back again is a put, never a delete: the epoch grows each time", async () => {
    const it = await scene();
    let { epoch } = it.tenure;
    let leader = it.a;
    for (const region of ["us", "eu", "us", "eu"]) {
      const tenure = await it.cluster.tenure(leader, it.talk);
      expect((await it.cluster.clock.until(tenure.move(region, IDLE))).kind).toBe("moved");
      leader = region === "us" ? it.b : it.a;
      ({ epoch } = await expectOneLeader(it, leader, epoch));
    }
    const kv = await it.cluster.get(it.key);
    expect(BigInt(kv?.modRevision ?? 0)).toBe(epoch);
  });

  it("that is surely refused resumes when nothing was in flight, under the same epoch", async () => {
    const { cluster, a, key, tenure } = await scene();
    a.doctor.instead = (txn) => (writes(key)(txn) ? { status: "not-applied", reason: "busy" } : undefined);
    expect(await cluster.clock.until(tenure.move("us", IDLE))).toEqual({ kind: "resume" });
    expect(tenure.look()).toBe(true);
    a.doctor.instead = () => undefined;
    expect((await cluster.tenure(a, tenure.conversation)).epoch).toBe(tenure.epoch);
  });

  it("that is surely refused stays shut when something was in flight, until it has a new epoch", async () => {
    const { cluster, a, key, tenure } = await scene();
    a.doctor.instead = (txn) => (writes(key)(txn) ? { status: "not-applied", reason: "busy" } : undefined);
    expect(await cluster.clock.until(tenure.move("us", { nothingInFlight: false }))).toEqual({ kind: "doubt" });
    expect(tenure.look()).toBe(false);
    a.doctor.instead = () => undefined;
    const renewed = await cluster.clock.until(tenure.renew());
    expect(renewed?.look()).toBe(true);
    expect(renewed?.epoch).toBeGreaterThan(tenure.epoch);
  });

  it("that is surely refused does not bring a tenure back that was released meanwhile", async () => {
    const { cluster, a, key, tenure } = await scene();
    a.doctor.instead = (txn) => (writes(key)(txn) ? { status: "not-applied", reason: "busy" } : undefined);
    const outcome = tenure.move("us", IDLE);
    tenure.release();
    expect(await cluster.clock.until(outcome)).toEqual({ kind: "lost" });
    expect(tenure.look()).toBe(false);
  });

  it("finds itself superseded when the home key has changed", async () => {
    const it = await scene();
    await it.cluster.write(it.key, { home: "us" });
    expect(await it.cluster.clock.until(it.tenure.move("us", IDLE))).toEqual({ kind: "lost" });
    await expectOneLeader(it, it.b, it.tenure.epoch);
  });

  it.each(["eu", "mars", ""])("to %j is an invalid argument, and changes nothing", async (region) => {
    const { cluster, tenure } = await scene();
    expect(await cluster.clock.until(codeOf(tenure.move(region, IDLE)))).toBe("INVALID_ARGUMENT");
    expect(tenure.look()).toBe(true);
  });
});

describe("a move of unknown outcome", () => {
  it("is settled by a put under the same guards: it landed before, so the other region leads", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    expect(await it.cluster.clock.until(it.tenure.move("us", IDLE))).toEqual({ kind: "doubt" });
    expect((await lost.land()).status).toBe("applied");
    expect(await it.cluster.clock.until(it.tenure.renew())).toBeUndefined();
    await expectOneLeader(it, it.b, it.tenure.epoch);
  });

  it("is settled by a put under the same guards: it lands later and is refused", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    expect(await it.cluster.clock.until(it.tenure.move("us", IDLE))).toEqual({ kind: "doubt" });
    const renewed = await it.cluster.clock.until(it.tenure.renew());
    expect(renewed?.look()).toBe(true);
    expect(renewed?.fromHomeKey).toBe(true);
    expect((await lost.land()).status).toBe("guard-failed");
    await it.cluster.clock.advance(1_000);
    expect(renewed?.look()).toBe(true);
    await expectOneLeader(it, it.a, it.tenure.epoch);
  });

  it("is not settled by a read that shows that nothing has happened: it lands after that", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    expect(await it.cluster.clock.until(it.tenure.confirm(it.tenure.epoch))).toBe("own");
    expect(it.tenure.look()).toBe(false);
    await lost.land();
    expect(await it.cluster.clock.until(it.tenure.confirm(it.tenure.epoch))).toBe("superseded");
    await expectOneLeader(it, it.b, it.tenure.epoch);
  });

  // The move, the first put (whose outcome is unknown too) and the second put land in every order.
  const orders = [
    ["move", "put", "second put"],
    ["put", "move", "second put"],
    ["move", "second put", "put"],
    ["put", "second put", "move"],
    ["second put", "move", "put"],
    ["second put", "put", "move"],
  ];
  it.each(orders)("and a put of unknown outcome leave one leader when they land as: %s, %s, %s", async (...order) => {
    const it = await scene();
    const lost = { move: it.a.way.loseNext({ held: true }, { when: writes(it.key) }), put: undefined as unknown };
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    const put = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    const second = it.a.way.loseNext({ held: true }, { when: writes(it.key), answerAfterMs: 100 });
    const renewed = it.tenure.renew();
    await it.cluster.clock.until(second.sent);
    const landings = { move: lost.move, put, "second put": second };
    const statuses: string[] = [];
    for (const name of order) statuses.push((await landings[name as keyof typeof landings].land()).status);
    expect(statuses).toEqual(["applied", "guard-failed", "guard-failed"]);
    // The third put of the renewal meets what the first of the three has left.
    expect(await it.cluster.clock.until(renewed)).toBeUndefined();
    expect(it.tenure.look()).toBe(false);
    await expectOneLeader(it, order[0] === "move" ? it.b : it.a, it.tenure.epoch);
  });

  it("is a duty of the claim: the leader object is let go, the next one gets a new epoch first", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    it.tenure.release();
    const next = await it.cluster.tenure(it.a, it.talk);
    expect(next.epoch).toBeGreaterThan(it.tenure.epoch);
    expect((await lost.land()).status).toBe("guard-failed");
    await it.cluster.clock.advance(1_000);
    expect(next.look()).toBe(true);
  });

  it("is a duty of the claim: when it has landed, the next opening here is refused", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    it.tenure.release();
    // The watch is silent, so only the guards of the put can tell.
    it.a.doctor.watched = (answer) => ({ ...answer, events: [] });
    await lost.land();
    expect(await it.cluster.clock.until(codeOf(it.a.membership.tenure(it.talk)))).toBe("NOT_LEADER");
    await expectOneLeader(it, it.b, it.tenure.epoch);
  });

  it("stays a duty when the object that was settling it was let go as well", async () => {
    const it = await scene();
    const move = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    const put = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    const renewed = it.tenure.renew();
    await it.cluster.clock.until(put.sent);
    it.tenure.release();
    expect(await it.cluster.clock.until(renewed)).toBeUndefined();
    const next = await it.cluster.tenure(it.a, it.talk);
    expect(next.epoch).toBeGreaterThan(it.tenure.epoch);
    expect([(await put.land()).status, (await move.land()).status]).toEqual(["guard-failed", "guard-failed"]);
    expect(next.look()).toBe(true);
  });

  it("is not settled by the late answer of an earlier put, which was guarded by an older home key", async () => {
    const it = await scene();
    let delayed = false;
    it.a.doctor.answered = async (answer, txn) => {
      if (writes(it.key)(txn) && !delayed) {
        delayed = true;
        await new Promise<void>((resolve) => it.cluster.clock.after(400, resolve));
      }
      return answer;
    };
    const first = it.tenure.renew();
    await it.cluster.clock.advance(50);
    it.tenure.release();
    // The watch has told of the put already: the next tenure stands on it, and is moved away.
    const second = await it.cluster.tenure(it.a, it.talk);
    expect(second.epoch).toBeGreaterThan(it.tenure.epoch);
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    expect(await it.cluster.clock.until(second.move("us", IDLE))).toEqual({ kind: "doubt" });
    second.release();
    expect(await it.cluster.clock.until(first)).toBeUndefined();
    const third = await it.cluster.tenure(it.a, it.talk);
    expect(third.epoch).toBeGreaterThan(second.epoch);
    expect((await lost.land()).status).toBe("guard-failed");
    expect(third.look()).toBe(true);
  });

  it("is refused when it lands after the shard has changed hands, though the home key is as it was", async () => {
    const it = await scene();
    const a2 = await it.cluster.started("eu", "a2");
    const talk = ownedBy(it.cluster, it.a);
    const tenure = await it.cluster.tenure(it.a, talk);
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.cluster.homeKey(talk)) });
    await it.cluster.clock.until(tenure.move("us", IDLE));
    it.a.way.cut();
    await it.cluster.clock.advance(6_000);
    const next = await it.cluster.tenure(a2, talk);
    expect(next.epoch).toBeGreaterThan(tenure.epoch);
    expect((await lost.land()).status).toBe("guard-failed");
    await it.cluster.clock.advance(1_000);
    expect(next.look()).toBe(true);
  });

  it("is refused when it lands after the conversation was moved and moved back", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    const renewed = await it.cluster.clock.until(it.tenure.renew());
    if (renewed === undefined) throw new Error("the renewal was refused");
    await it.cluster.clock.until(renewed.move("us", IDLE));
    const there = await expectOneLeader(it, it.b, renewed.epoch);
    await it.cluster.clock.until(there.move("eu", IDLE));
    const back = await expectOneLeader(it, it.a, there.epoch);
    expect((await lost.land()).status).toBe("guard-failed");
    expect(back.look()).toBe(true);
  });

  it("ends with the lease: the put is repeated no longer, and the next owner decides", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    await it.cluster.clock.until(it.tenure.move("us", IDLE));
    it.a.way.cut();
    const renewed = it.tenure.renew();
    expect(await it.cluster.clock.until(renewed)).toBeUndefined();
    expect(it.a.membership.leaseLeftMs()).toBe(0);
    it.a.way.heal();
    await it.cluster.clock.advance(5_000);
    const next = await it.cluster.tenure(it.a, it.talk);
    expect(next.epoch).toBeGreaterThan(it.tenure.epoch);
    expect((await lost.land()).status).toBe("guard-failed");
  });
});

describe("a new epoch for a doubt", () => {
  it("is a put of the home key, guarded as a move is, and never makes the old tenure look true again [R8]", async () => {
    const it = await scene();
    const renewed = await it.cluster.clock.until(it.tenure.renew());
    const sent = it.a.way.sent.find(({ txn }) => writes(it.key)(txn));
    expect(sent?.txn.guards).toEqual([
      { key: it.tenure.claim.key, modRevision: it.tenure.claim.modRevision },
      { key: it.key, modRevision: 0 },
    ]);
    expect([it.tenure.look(), renewed?.look()]).toEqual([false, true]);
    expect(renewed).toMatchObject({ fromHomeKey: true, conversation: it.talk });
    expect((await it.cluster.get(it.key))?.modRevision).toBe(Number(renewed?.epoch));
    await expectOneLeader(it, it.a, it.tenure.epoch);
  });

  it("is used only while the claim that guarded it is held [R8]", async () => {
    const it = await scene();
    it.a.doctor.answered = async (answer, txn) => {
      if (writes(it.key)(txn)) {
        await it.cluster.write(it.tenure.claim.key, undefined);
        await new Promise<void>((resolve) => it.cluster.clock.after(50, resolve));
      }
      return answer;
    };
    expect(await it.cluster.clock.until(it.tenure.renew())).toBeUndefined();
    expect(it.a.lost.map(({ key }) => key)).toContain(it.tenure.claim.key);
  });

  it("is refused when it lands after the shard has changed hands [R8]", async () => {
    const it = await scene();
    const lost = it.a.way.loseNext({ held: true }, { when: writes(it.key) });
    const renewed = it.tenure.renew();
    await it.cluster.clock.until(lost.sent);
    it.a.way.cut();
    const a2 = it.cluster.node("eu", "a2");
    await it.cluster.clock.until(a2.membership.start());
    await it.cluster.clock.advance(6_000);
    const next = await it.cluster.tenure(a2, it.talk);
    expect((await lost.land()).status).toBe("guard-failed");
    expect(await it.cluster.clock.until(renewed)).toBeUndefined();
    expect(next.look()).toBe(true);
    expect(next.epoch).toBeGreaterThan(it.tenure.epoch);
  });
});

describe("an epoch that was met in the log", () => {
  it("is our own while both keys are as they were, and a higher one shows a rewound coordinator [R6]", async () => {
    const { cluster, tenure } = await scene();
    expect(await cluster.clock.until(tenure.confirm(tenure.epoch))).toBe("own");
    expect(await cluster.clock.until(tenure.confirm(tenure.epoch + 1n))).toBe("rewound");
    expect(tenure.look()).toBe(true);
  });

  it("means superseded when the home key has changed, and the next try obeys [R6]", async () => {
    const it = await scene();
    it.a.doctor.watched = (answer) => ({ ...answer, events: [] });
    await it.cluster.write(it.key, { home: "us" });
    expect(await it.cluster.clock.until(it.tenure.confirm(it.tenure.epoch + 1n))).toBe("superseded");
    expect(await it.cluster.clock.until(codeOf(it.a.membership.tenure(it.talk)))).toBe("NOT_LEADER");
  });

  it("means superseded when the shard key has changed, and the claim is let go at once [R6]", async () => {
    const { cluster, a, tenure } = await scene();
    a.doctor.watched = (answer) => ({ ...answer, events: [] });
    await cluster.write(tenure.claim.key, { lease: "another", address: "x:1" });
    expect(tenure.look()).toBe(true);
    expect(await cluster.clock.until(tenure.confirm(tenure.epoch))).toBe("superseded");
    expect(tenure.look()).toBe(false);
    expect(a.lost).toContain(tenure.claim);
  });

  it("cannot be judged without the coordinator, and says so when the lease ends [R6]", async () => {
    const { cluster, a, tenure } = await scene();
    a.way.cut();
    expect(await cluster.clock.until(codeOf(tenure.confirm(tenure.epoch)))).toBe("UNAVAILABLE");
    expect(tenure.look()).toBe(false);
  });
});

/** A conversation whose default home and shard the node owns. */
function ownedBy(cluster: Cluster, node: TestNode): string {
  const [region = "", shard = ""] = node.membership.shards()[0]?.split("/") ?? [];
  return cluster.conversation(region, Number(shard));
}
