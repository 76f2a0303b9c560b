import { describe, expect, it } from "vitest";
import { MemoryCoordinator } from "../../../src/adapters/memory/coordinator.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { sleep } from "../../../src/kernel/timing.ts";
import { encodeValue, keys } from "../../../src/membership/keys.ts";
import type { NodeLease } from "../../../src/membership/lease.ts";
import { Shards } from "../../../src/membership/shards.ts";
import { Cluster, codeOf, LEASE, writes } from "./cluster.ts";

const SHARD = keys.shard("eu", 0);
const PLACEMENT = { version: 1, shards: 2, regions: ["eu", "us"], incarnation: 0 };

/** Shards of a node whose lease `ours` lives; what it was told of claims, in order. */
function shards(alive = () => true): { readonly shards: Shards; readonly told: string[] } {
  const told: string[] = [];
  const made = new Shards({
    regions: ["eu"],
    count: 1,
    claimed: (claim) => told.push(`claimed ${claim.modRevision}`),
    lost: (claim) => told.push(`lost ${claim.modRevision}`),
    vacated: () => told.push("vacated"),
  });
  made.begin({ id: "ours", alive } as NodeLease, 0);
  return { shards: made, told };
}

const OURS = { lease: "ours", address: "a:1" };
const THEIRS = { lease: "theirs", address: "b:1" };

describe("news of a shard key", () => {
  it("makes a claim of every revision whose value holds the present lease, however it came", () => {
    const { shards: some, told } = shards();
    some.learn("eu", 0, { owner: OURS, age: 5 });
    some.learn("eu", 0, { owner: OURS, age: 7 });
    expect(told).toEqual(["claimed 5", "lost 5", "claimed 7"]);
  });

  it("that is older than what is known is ignored: it neither takes a claim away nor gives one", () => {
    const { shards: some, told } = shards();
    some.learn("eu", 0, { owner: OURS, age: 7 });
    some.learn("eu", 0, { owner: THEIRS, age: 5 });
    some.learn("eu", 0, { owner: undefined, age: 6 });
    expect(told).toEqual(["claimed 7"]);
    some.learn("eu", 0, { owner: THEIRS, age: 9 });
    some.learn("eu", 0, { owner: OURS, age: 8 });
    expect(told).toEqual(["claimed 7", "lost 7"]);
  });

  it("never brings a claim back under the revision at which it was let go", () => {
    const { shards: some, told } = shards();
    some.learn("eu", 0, { owner: OURS, age: 7 });
    some.learn("eu", 0, { owner: undefined, age: 8 });
    some.learn("eu", 0, { owner: OURS, age: 7 });
    some.listed(new Map([[SHARD, { owner: OURS, age: 7 }]]), 7);
    expect(told).toEqual(["claimed 7", "lost 7", "vacated"]);
  });

  it("is ours by the lease, not by the address: a key of this node's former lease is another's", () => {
    const { shards: some, told } = shards();
    some.learn("eu", 0, { owner: { ...OURS, lease: "former" }, age: 5 });
    expect(told).toEqual([]);
    expect(some.vacant("eu", 0)).toBe(false);
  });

  it("takes nothing for ours once the lease's deadline has passed, even before its end was noticed", () => {
    const { shards: some, told } = shards(() => false);
    some.learn("eu", 0, { owner: OURS, age: 5 });
    expect(told).toEqual([]);
  });

  it("that is unreadable belongs to nobody that is known, and is not vacant", () => {
    const { shards: some } = shards();
    some.learn("eu", 0, { owner: "unreadable", age: 5 });
    expect([some.vacant("eu", 0), some.owner("eu", 0)]).toEqual([false, undefined]);
  });
});

describe("claims", () => {
  it("are one transaction a shard, at most 32 at once", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 128 });
    const a = cluster.node("eu", "a");
    a.way.delay({ requestMs: 10, answerMs: 10 });
    await cluster.clock.until(a.membership.start());
    expect(a.membership.shards()).toHaveLength(128);
    const claims = a.way.sent.filter(({ txn }) => txn.puts?.some(({ key }) => key.startsWith(keys.shards)) === true);
    expect(claims).toHaveLength(128);
    expect(claims.every(({ txn }) => txn.puts?.length === 1)).toBe(true);
    const atOnce = (sentAtMs: number) => claims.filter((claim) => claim.sentAtMs === sentAtMs).length;
    expect(Math.max(...claims.map(({ sentAtMs }) => atOnce(sentAtMs)))).toBe(LIMITS.claimsAtOnce);
  });

  it("of unknown outcome that land late are found by the watch", async () => {
    const cluster = new Cluster();
    const a = cluster.node("eu", "a");
    const lost = a.way.loseNext({ held: true }, { when: writes(SHARD), answerAfterMs: 10_000 });
    const started = a.membership.start();
    await cluster.clock.until(lost.sent);
    const landed = await lost.land();
    await cluster.clock.until(started);
    await cluster.clock.advance(1_000);
    const tenure = await cluster.tenure(a, cluster.conversation("eu"));
    expect("header" in landed && landed.header.revision).toBe(tenure.claim.modRevision);
    expect(a.way.sent.filter(({ txn }) => writes(SHARD)(txn))).toHaveLength(1);
  });

  it("list the home keys after the claim, guarded by it, before a conversation is led under it", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const order = a.way.sent.map(({ txn }) => {
      if (writes(SHARD)(txn)) return "claim";
      const lists = txn.ranges?.some((range) => "prefix" in range && range.prefix === keys.homes("eu", 0));
      return lists === true ? `list guarded by ${JSON.stringify(txn.guards)}` : "other";
    });
    const { modRevision } = (await cluster.get(SHARD)) ?? {};
    const guard = JSON.stringify([{ key: SHARD, modRevision }]);
    expect(order.filter((what) => what !== "other")).toEqual(["claim", `list guarded by ${guard}`]);
  });

  it("are not led under while the log store does not answer for the mark", async () => {
    const cluster = new Cluster();
    cluster.store.down = true;
    const moved = cluster.conversation("us");
    await cluster.write(cluster.homeKey(moved), { home: "eu" });
    const a = cluster.node("eu", "a");
    const started = a.membership.start();
    await cluster.clock.advance(5_000);
    expect(await cluster.clock.until(codeOf(a.membership.tenure(cluster.conversation("eu"))))).toBe("UNAVAILABLE");
    expect(await cluster.clock.until(codeOf(a.membership.tenure(moved)))).not.toBe("no error");
    expect(a.membership.shards()).toEqual([]);
    cluster.store.down = false;
    await cluster.clock.until(started);
    expect(a.membership.shards()).toEqual(expect.arrayContaining(["eu/0", "eu/1"]));
  });

  it("give the right to lead in the moment in which they are ready, to all that wait", async () => {
    const cluster = new Cluster();
    cluster.store.loadEpochMark = () => sleep(cluster.clock, 700).then(() => 0n);
    const a = cluster.node("eu", "a");
    void a.membership.start();
    await cluster.clock.advance(250);
    const ask = async () => {
      const { claim } = await a.membership.tenure(cluster.conversation("eu"));
      return { claim, atMs: cluster.clock.monotonicMs() };
    };
    const asked = [ask(), ask()];
    expect(a.membership.shards()).toEqual([]);
    const [first, second] = await cluster.clock.until(Promise.all(asked));
    expect(first).toEqual(second);
    expect(a.membership.shards()).toContain("eu/0");
    // Not at the next of some tries.
    expect(first?.atMs).toBeLessThan(250 + 700);
  });
});

describe("the epoch mark", () => {
  it("is raised to the claim's epoch before anything is opened under it", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const tenure = await cluster.tenure(a, cluster.conversation("eu"));
    expect(cluster.store.marks.get(0)).toBe(tenure.epoch);
  });

  it("makes a claim that is not above it put itself anew, which is compared with the mark that was read", async () => {
    const cluster = new Cluster();
    const read: number[] = [];
    const a = cluster.node("eu", "a");
    cluster.store.loadEpochMark = async (shard) => {
      read.push(shard);
      // Another region's claim of this number came after ours; from then on the mark runs far ahead.
      const mark = BigInt(await cluster.revision());
      cluster.store.marks.set(shard, mark + 1_000n);
      return mark;
    };
    await cluster.clock.until(a.membership.start());
    const tenure = await cluster.tenure(a, cluster.conversation("eu"));
    expect(tenure.look()).toBe(true);
    expect(a.lost.filter(({ key }) => key === SHARD)).toHaveLength(1);
    expect(read.filter((shard) => shard === 0)).toHaveLength(1);
  });

  it("makes an unknown put to itself be repeated under its guard, and still tells a rewound coordinator", async () => {
    const cluster = new Cluster();
    cluster.store.marks.set(0, 1_000_000n);
    const a = cluster.node("eu", "a");
    const own = (txn: Parameters<ReturnType<typeof writes>>[0]) => writes(SHARD)(txn) && txn.guards?.length === 1;
    a.way.loseNext({ applyAfterMs: 0 }, { when: own });
    const error = await cluster.clock.until(a.membership.start().catch((thrown: unknown) => MeridianError.from(thrown)));
    expect(error).toMatchObject({ code: "CORRUPT" });
    expect(a.way.sent.filter(({ txn }) => own(txn)).length).toBeLessThanOrEqual(2);
  });

  it("above what even a new claim gets shows a rewound coordinator: the node refuses loudly and leads nothing", async () => {
    const cluster = new Cluster();
    cluster.store.marks.set(0, 1_000_000n);
    const a = cluster.node("eu", "a");
    const error = await cluster.clock.until(a.membership.start().catch((thrown: unknown) => MeridianError.from(thrown)));
    expect(error).toMatchObject({ code: "CORRUPT", message: expect.stringContaining("rewound") });
    expect(a.logged("coordinator.rewound")).toHaveLength(1);
    expect(await cluster.get(keys.node("eu", "a"))).toBeUndefined();
    expect(await cluster.get(SHARD)).toBeUndefined();
    expect(cluster.store.marks.get(0)).toBe(1_000_000n);
  });

  it("keeps a running node shut when the coordinator was rewound, until the incarnation is raised", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const talk = cluster.conversation("eu");
    cluster.store.marks.set(0, 1_000_000n);
    await cluster.write(SHARD, undefined);
    await cluster.clock.advance(2_000);
    expect(a.membership.state).toMatchObject({ kind: "refused", error: { code: "CORRUPT" } });
    const sent = a.way.sent.length;
    await cluster.clock.advance(30_000);
    expect(a.membership.state).toMatchObject({ kind: "refused", error: { code: "CORRUPT" } });
    expect(a.way.sent.slice(sent).filter(({ txn }) => txn.puts !== undefined)).toEqual([]);
    expect(await cluster.clock.until(codeOf(a.membership.tenure(talk)))).toBe("UNAVAILABLE");
    expect(await cluster.get(keys.node("eu", "a"))).toBeUndefined();
    expect(await cluster.get(keys.shard("eu", 1))).toBeUndefined();
    await cluster.write(keys.placement, { ...PLACEMENT, incarnation: 1 });
    await cluster.clock.advance(30_000);
    expect(a.membership.state).toEqual({ kind: "member" });
    expect((await cluster.tenure(a, talk)).epoch).toBeGreaterThan(2n ** 48n);
  });
});

describe("a node whose clock is not synchronised", () => {
  it("leads nothing, gives its lease back, and joins anew when the clock is right again", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const tenure = await cluster.tenure(a, cluster.conversation("eu"));
    a.clock.lose("no server answers");
    await cluster.clock.advance(2 * LEASE.leaseRenewMs);
    expect(tenure.look()).toBe(false);
    expect(await cluster.get(keys.node("eu", "a"))).toBeUndefined();
    expect(a.membership.state).toMatchObject({ kind: "joining", reason: expect.stringContaining("no server answers") });
    a.clock.lose(undefined);
    await cluster.clock.advance(10_000);
    expect((await cluster.tenure(a, tenure.conversation)).epoch).toBeGreaterThan(tenure.epoch);
  });
});

describe("a coordinator that was rewound while the node runs", () => {
  it("ends the lease, and the node does not join on it again", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const tenure = await cluster.tenure(a, cluster.conversation("eu"));
    await cluster.clock.advance(1_000);
    a.way.rewriteHeaders((header) => ({ ...header, revision: 1 }));
    await cluster.clock.advance(10_000);
    expect(tenure.look()).toBe(false);
    expect(a.membership.state).toMatchObject({ kind: "refused", error: { code: "CORRUPT" } });
  });

  it("and restored under another cluster id and a higher incarnation is a new beginning: old revisions are forgotten", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    // The former key space has come far: its news are of higher revisions than the restored one will give for long.
    for (let i = 0; i < 200; i += 1) await cluster.write("elsewhere", { home: "eu" });
    await cluster.write(SHARD, undefined);
    await cluster.clock.advance(1_000);
    const tenure = await cluster.tenure(a, cluster.conversation("eu"));
    expect(tenure.epoch).toBeGreaterThan(200n);
    const restored = new MemoryCoordinator({ clock: cluster.clock });
    await restored.txn({ puts: [{ key: keys.placement, value: encodeValue({ ...PLACEMENT, incarnation: 1 }) }] });
    a.doctor.switchTo(restored);
    a.way.rewriteHeaders((header) => ({ ...header, cluster: "restored" }));
    await cluster.clock.advance(1_000);
    expect(a.logged("lease.renewal-missed").length).toBeGreaterThan(0);
    await cluster.clock.advance(20_000);
    expect(tenure.look()).toBe(false);
    const next = await cluster.tenure(a, tenure.conversation);
    expect(next.claim.modRevision).toBeLessThan(tenure.claim.modRevision);
    expect(next.epoch).toBeGreaterThan(2n ** 48n);
  });
});
