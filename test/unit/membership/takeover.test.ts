import { describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { sleep } from "../../../src/kernel/timing.ts";
import { keys } from "../../../src/membership/keys.ts";
import type { Tenure } from "../../../src/membership/tenure.ts";
import { Cluster, codeOf, LEASE, type TestNode } from "./cluster.ts";

const BELIEVED_MS = LEASE.leaseTtlMs - LEASE.leaseMarginMs;

/** Two nodes of one region; the conversation is led by the first. */
async function scene(clocks: { monotonic?: number; wall?: number } = {}): Promise<{
  readonly cluster: Cluster;
  readonly a: TestNode;
  readonly b: TestNode;
  readonly tenure: Tenure;
}> {
  const cluster = new Cluster({ regions: ["eu"], shards: 8 });
  const a = await cluster.started("eu", "a", clocks);
  const b = await cluster.started("eu", "b");
  await cluster.clock.advance(3_000);
  const [, shard = ""] = a.membership.shards()[0]?.split("/") ?? [];
  return { cluster, a, b, tenure: await cluster.tenure(a, cluster.conversation("eu", Number(shard))) };
}

/** Lets time pass until `b` leads it; answers when `before` was last seen true, and when the new one began. */
async function takeover(
  cluster: Cluster,
  b: TestNode,
  before: Tenure,
): Promise<{ readonly endedMs: number; readonly beganMs: number; readonly after: Tenure }> {
  let endedMs = -1;
  for (let i = 0; i < 1_000; i += 1) {
    if (before.look()) endedMs = cluster.clock.monotonicMs();
    const after = await cluster.clock.until(b.membership.tenure(before.conversation).catch(() => undefined));
    if (after !== undefined) return { endedMs, beganMs: cluster.clock.monotonicMs(), after };
    await cluster.clock.advance(10);
  }
  throw new Error("nobody took over within 10 s");
}

describe("a takeover", () => {
  it("begins as soon as the lease has ended, whenever the next round would be due", async () => {
    const { cluster, a, b } = await scene();
    await cluster.clock.until(b.membership.stop());
    const late = await cluster.started("eu", "late", { leaseRenewMs: 600 });
    await cluster.clock.advance(3_000);
    const own = late.membership.shards().length;
    // As its end does: the node's key and all that it owns go together.
    const lease = a.membership.lease()?.id ?? "";
    await cluster.clock.advance(100);
    await cluster.clock.until(cluster.etcd.revoke(lease));
    await cluster.clock.advance(50);
    expect(own).toBeLessThan(8);
    expect(late.membership.shards()).toHaveLength(8);
  });

  it("claims those shards first that somebody waits for", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 2 * LIMITS.claimsAtOnce });
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("eu", "b");
    await cluster.clock.advance(3_000);
    const shard = Math.max(...a.membership.shards().map((name) => Number(name.split("/")[1])));
    const talk = cluster.conversation("eu", shard);
    const claimed: string[] = [];
    b.way.observe(({ puts = [] }) => claimed.push(...puts.map(({ key }) => key).filter((key) => key.startsWith(keys.shards))));
    b.membership.locate(talk);
    await cluster.clock.until(cluster.etcd.revoke(a.membership.lease()?.id ?? ""));
    await cluster.clock.advance(50);
    expect(claimed[0]).toBe(keys.shard("eu", shard));
    expect(claimed.length).toBeGreaterThan(LIMITS.claimsAtOnce / 2);
  });
});

describe("claims of a takeover", () => {
  it("are the first to be made for what somebody waits for, though a round of claims came in between", async () => {
    const cluster = new Cluster({ regions: ["eu"], shards: 2 * LIMITS.claimsAtOnce });
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("eu", "b", { leaseRenewMs: 600 });
    await cluster.clock.advance(3_000);
    const shard = Math.max(...a.membership.shards().map((name) => Number(name.split("/")[1])));
    const claimed: string[] = [];
    b.way.observe(({ puts = [] }) => claimed.push(...puts.map(({ key }) => key).filter((key) => key.startsWith(keys.shards))));
    b.membership.locate(cluster.conversation("eu", shard));
    await cluster.clock.advance(600);
    await cluster.clock.until(cluster.etcd.revoke(a.membership.lease()?.id ?? ""));
    await cluster.clock.advance(50);
    expect(claimed[0]).toBe(keys.shard("eu", shard));
  });

  it("are prepared at once for what somebody waits for, while others wait for their turn", async () => {
    const shards = 2 * LIMITS.preparationsAtOnce;
    const cluster = new Cluster({ regions: ["eu"], shards });
    const load = cluster.store.loadEpochMark.bind(cluster.store);
    cluster.store.loadEpochMark = async (shard) => {
      await sleep(cluster.clock, 500);
      return load(shard);
    };
    const a = cluster.node("eu", "a");
    const started = a.membership.start();
    await cluster.clock.advance(250);
    const tenure = await cluster.tenure(a, cluster.conversation("eu", shards - 1));
    expect(tenure.look()).toBe(true);
    expect(a.membership.shards()).toHaveLength(LIMITS.preparationsAtOnce + 1);
    await cluster.clock.until(started);
    expect(a.membership.shards()).toHaveLength(shards);
  });
});

describe("a node that is cut off", () => {
  it("stops to lead at its own deadline; another takes over after its lease has ended, under a higher epoch [R4]", async () => {
    const { cluster, a, b, tenure } = await scene();
    const cutAtMs = cluster.clock.monotonicMs();
    a.way.cut();
    const { endedMs, beganMs, after } = await takeover(cluster, b, tenure);
    expect(endedMs - cutAtMs).toBeGreaterThan(BELIEVED_MS - LEASE.leaseRenewMs - 20);
    expect(endedMs - cutAtMs).toBeLessThan(BELIEVED_MS);
    expect(beganMs - endedMs).toBeGreaterThan(LEASE.leaseMarginMs - 20);
    expect(beganMs - cutAtMs).toBeLessThan(LEASE.leaseTtlMs + 1_000);
    expect(after.epoch).toBeGreaterThan(tenure.epoch);
    expect(a.lost).toContain(tenure.claim);
  });

  it("never overlaps with the next, though its clocks lose just under the margin in one TTL [R4]", async () => {
    const rate = 1 - LEASE.leaseMarginMs / LEASE.leaseTtlMs + 0.001;
    const { cluster, a, b, tenure } = await scene({ monotonic: rate, wall: rate });
    a.way.cut();
    const { endedMs, beganMs } = await takeover(cluster, b, tenure);
    expect(endedMs).toBeGreaterThan(0);
    expect(beganMs).toBeGreaterThan(endedMs);
  });

  it("whose renewals arrive while their answers are lost stops all the same: it cannot know [R4]", async () => {
    const { cluster, a, tenure } = await scene();
    a.way.renewals("unanswered");
    await cluster.clock.advance(BELIEVED_MS);
    expect(tenure.look()).toBe(false);
    a.way.renewals("pass");
    await cluster.clock.advance(5_000);
    expect((await cluster.tenure(a, tenure.conversation)).epoch).toBeGreaterThan(tenure.epoch);
  });

  it("and heals before its lease has ended in the coordinator never leads under the old claim again", async () => {
    const { cluster, a, tenure } = await scene();
    a.way.cut();
    await cluster.clock.advance(BELIEVED_MS + 100);
    expect(tenure.look()).toBe(false);
    // The shard key still stands, with the revision of the claim that was let go.
    expect((await cluster.get(tenure.claim.key))?.modRevision).toBe(tenure.claim.modRevision);
    a.way.heal();
    for (let i = 0; i < 100; i += 1) {
      await cluster.clock.advance(50);
      expect(tenure.look()).toBe(false);
    }
    const next = await cluster.tenure(a, tenure.conversation);
    expect(next.epoch).toBeGreaterThan(tenure.epoch);
    expect(next.claim.modRevision).toBeGreaterThan(tenure.claim.modRevision);
  });

  it("revokes its lease when it can, so that nobody waits for the TTL", async () => {
    const { cluster, a, tenure } = await scene();
    await cluster.clock.advance(LEASE.leaseRenewMs);
    const lease = (await cluster.get(keys.node("eu", "a")))?.lease;
    a.clock.stepWall(60_000);
    await cluster.clock.advance(LEASE.leaseRenewMs + 100);
    expect(tenure.look()).toBe(false);
    const now = await cluster.get(keys.node("eu", "a"));
    expect(now?.lease).not.toBe(lease);
    expect((await cluster.get(tenure.claim.key))?.lease).not.toBe(lease);
  });
});

describe("a machine that is suspended", () => {
  it("leads nothing when it wakes, though its monotonic clock has not moved [R4]", async () => {
    const { cluster, a, b, tenure } = await scene();
    a.clock.suspend();
    a.way.cut();
    const { after } = await takeover(cluster, b, tenure);
    a.way.heal();
    a.clock.resume();
    expect(tenure.look()).toBe(false);
    await cluster.clock.advance(5_000);
    expect(tenure.look()).toBe(false);
    const leaders = await Promise.all(
      [a, b].map((node) => cluster.clock.until(codeOf(node.membership.tenure(tenure.conversation)))),
    );
    expect(leaders.filter((code) => code === "no error")).toHaveLength(1);
    expect(after.epoch).toBeGreaterThan(tenure.epoch);
  });
});

describe("a node that cannot join", () => {
  it("says why after a minute", async () => {
    const cluster = new Cluster();
    const a = cluster.node("eu", "a");
    a.way.cut();
    const error = await cluster.clock.until(a.membership.start().catch((thrown: unknown) => MeridianError.from(thrown)));
    expect(error).toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("the coordinator did not tell") });
    expect(cluster.clock.monotonicMs()).toBeLessThan(LIMITS.joinMs + 5_000);
  });

  it("ends in bounded time when it is stopped while it is cut off", async () => {
    const { cluster, a } = await scene();
    a.way.cut();
    const before = cluster.clock.monotonicMs();
    await cluster.clock.until(a.membership.stop());
    expect(cluster.clock.monotonicMs() - before).toBeLessThan(LIMITS.drainMs);
    expect(a.membership.shards()).toEqual([]);
  });
});
