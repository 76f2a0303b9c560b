import { describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { sleep } from "../../../src/kernel/timing.ts";
import { keys, parsePlacement } from "../../../src/membership/keys.ts";
import { Cluster, codeOf, LEASE, reads, writes } from "./cluster.ts";

const PLACEMENT = { version: 1, shards: 2, regions: ["eu", "us"], incarnation: 0 };

describe("the placement", () => {
  it("is put by the first node and agreed to by the others, in whatever order they name the regions", async () => {
    const cluster = new Cluster();
    await cluster.started("eu", "a");
    const kv = await cluster.get(keys.placement);
    expect(kv && parsePlacement(kv)).toEqual(PLACEMENT);
    await cluster.started("us", "b", { regions: ["us", "eu"] });
    expect((await cluster.get(keys.placement))?.modRevision).toBe(kv?.modRevision);
  });

  it.each([
    [{ shards: 3 }, "shards 2, this node with 3"],
    [{ regions: ["eu", "us", "asia"] }, "regions eu,us, this node with asia,eu,us"],
  ])("refuses a node that is configured otherwise: %j", async (options, message) => {
    const cluster = new Cluster();
    await cluster.started("eu", "a");
    const odd = cluster.node("us", "b", options);
    const error = await cluster.clock.until(odd.membership.start().catch((thrown: unknown) => MeridianError.from(thrown)));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining(message) });
    expect(odd.membership.leaseLeftMs()).toBe(0);
    expect(await cluster.get(keys.node("us", "b"))).toBeUndefined();
    await cluster.clock.advance(20_000);
    expect(await cluster.get(keys.shard("us", 0))).toMatchObject({ key: keys.shard("us", 0) });
    expect(odd.way.sent.filter(({ txn }) => writes(keys.shard("us", 0))(txn))).toEqual([]);
  });

  it("that is unreadable stops a node with an error that names the key", async () => {
    const cluster = new Cluster();
    await cluster.write(keys.placement, { home: "eu" });
    expect(await cluster.clock.until(codeOf(cluster.node("eu", "a").membership.start()))).toBe("CORRUPT");
  });

  it("stands once, though the first put's outcome was unknown and it lands late", async () => {
    const cluster = new Cluster();
    const a = cluster.node("eu", "a");
    a.way.loseNext({ applyAfterMs: 200 }, { when: writes(keys.placement) });
    await cluster.clock.until(a.membership.start());
    const { modRevision } = (await cluster.get(keys.placement)) ?? {};
    await cluster.clock.advance(1_000);
    expect((await cluster.get(keys.placement))?.modRevision).toBe(modRevision);
    expect(a.membership.state.kind).toBe("member");
  });

  it("guards every claim: one that was decided under an older placement is refused", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const claims = a.way.sent.filter(({ txn }) => writes(keys.shard("eu", 0))(txn));
    const { modRevision = 0 } = (await cluster.get(keys.placement)) ?? {};
    expect(claims.map(({ txn }) => txn.guards)).toEqual([
      [
        { key: keys.shard("eu", 0), modRevision: 0 },
        { key: keys.placement, modRevision },
      ],
    ]);
    const late = a.way.loseNext({ held: true }, { when: writes(keys.shard("eu", 0)) });
    await cluster.write(keys.shard("eu", 0), undefined);
    await cluster.clock.until(late.sent);
    await cluster.write(keys.placement, { ...PLACEMENT, incarnation: 1 });
    await cluster.write(keys.shard("eu", 0), undefined);
    expect((await late.land()).status).toBe("guard-failed");
  });

  it("with a higher incarnation ends every claim, and the epochs under it are above all before", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const talk = cluster.conversation("eu");
    const before = await cluster.tenure(a, talk);
    await cluster.write(keys.placement, { ...PLACEMENT, incarnation: 2 });
    await cluster.clock.advance(0);
    expect(before.look()).toBe(false);
    await cluster.clock.advance(LEASE.leaseTtlMs);
    const after = await cluster.tenure(a, talk);
    expect(after.epoch).toBe(2n * 2n ** 48n + BigInt(after.claim.modRevision));
    expect(cluster.store.marks.get(0)).toBe(after.epoch);
  });

  it("that changes to what this node is not configured for makes it lead nothing and say why", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    await cluster.write(keys.placement, { ...PLACEMENT, shards: 4 });
    await cluster.clock.advance(LEASE.leaseTtlMs);
    expect(a.membership.state).toMatchObject({ kind: "refused", error: { code: "INVALID_ARGUMENT" } });
    expect(await cluster.clock.until(codeOf(a.membership.tenure(cluster.conversation("eu"))))).toBe("UNAVAILABLE");
    await cluster.write(keys.placement, PLACEMENT);
    await cluster.clock.advance(10_000);
    expect(a.membership.state).toEqual({ kind: "member" });
  });

  it("may be told by an answer that others have overtaken: that is no coordinator that was rewound", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    a.way.renewals("lost");
    a.doctor.answered = async (answer, txn) => {
      if (!reads(keys.placement)(txn) || a.membership.lease() !== undefined) return answer;
      // Its watch tells of a later revision while this answer is on its way.
      await cluster.write(keys.node("us", "b"), undefined);
      await cluster.write(cluster.homeKey(cluster.conversation("eu")), { home: "us" });
      await sleep(cluster.clock, 50);
      return answer;
    };
    await cluster.clock.advance(LEASE.leaseTtlMs);
    a.way.renewals("pass");
    await cluster.clock.advance(2 * LEASE.leaseTtlMs);
    expect(a.membership.state).toEqual({ kind: "member" });
    expect(a.logged("membership.not-joined")).toEqual([]);
  });

  it("that vanishes is a loss and no beginning: nobody puts it anew", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    await cluster.write(keys.placement, undefined);
    await cluster.clock.advance(10_000);
    expect(a.membership.state).toMatchObject({ kind: "refused", error: { code: "CORRUPT" } });
    expect(await cluster.get(keys.placement)).toBeUndefined();
  });
});

describe("a node's configuration", () => {
  it.each([
    { region: "mars" },
    { node: "a/b" },
    { regions: ["eu", "eu"] },
    { regions: ["eu", "u/s"] },
    { shards: 0 },
    { shards: 1.5 },
    { leaseRenewMs: 1_000 },
    { leaseMarginMs: 2_500 },
  ])("is refused when it is %j", (options) => {
    const cluster = new Cluster();
    expect(() => cluster.node("eu", "a", options)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});
