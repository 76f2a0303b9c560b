import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../../sim/clock.ts";
import { MemoryCoordinator } from "../../../../src/adapters/memory/coordinator.ts";
import { DelayedCoordinator } from "../../../../src/adapters/wan/delayed-coordinator.ts";
import { Links } from "../../../../src/adapters/wan/links.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { Coordinator, Txn } from "../../../../src/ports/coordinator.ts";
import { coordinatorContract } from "../../../contract/coordinator.ts";
import { type RegionName, ThreeRegions } from "./three-regions.ts";

coordinatorContract("memory, in the region from which it answers", async () => {
  const clock = new VirtualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const links = new Links({ clock, regions: ["here"], oneWayMs: () => 0, coordinator: "here" });
  return {
    coordinator: new DelayedCoordinator({ region: "here", coordinator, links, clock }),
    clock,
    pass: (durationMs) => clock.advance(durationMs),
    compact: async (revision) => coordinator.compact(revision),
    close: async () => {},
  };
});

class CoordinatedWorld extends ThreeRegions {
  readonly coordinator = new MemoryCoordinator({ clock: this.clock });

  from(region: RegionName, coordinator: Coordinator = this.coordinator): DelayedCoordinator {
    return new DelayedCoordinator({ region, coordinator, links: this.links, clock: this.clock });
  }

  async has(key: string): Promise<boolean> {
    const answer = await this.coordinator.txn({ ranges: [{ key }] });
    return "ranges" in answer && answer.ranges[0]?.kvs.length === 1;
  }
}

const value = new Uint8Array();
const putA: Txn = { puts: [{ key: "a", value }] };

describe("a coordinator over the wide area", () => {
  it("answers each call after the way there and back", async () => {
    const world = new CoordinatedWorld();
    const near = world.from("us");
    const { result, ms } = await world.timed(() => near.grant(60_000));
    expect(ms).toBe(80);
    expect((await world.timed(() => near.renew(result.lease))).ms).toBe(80);
    expect(await world.timed(() => world.from("ap").txn(putA))).toMatchObject({ result: { status: "applied" }, ms: 160 });
    expect((await world.timed(() => world.from("eu").txn(putA))).ms).toBe(0);
    expect((await world.timed(() => near.revoke(result.lease))).ms).toBe(80);
    expect((await world.clock.until(near.renew(result.lease))).ttlMs).toBe(0);
  });

  it("takes effect when the request arrives, not when it is sent", async () => {
    const world = new CoordinatedWorld();
    const claim: Txn = { guards: [{ key: "a", modRevision: 0 }], ...putA };
    const far = world.from("ap").txn(claim);
    await world.clock.advance(30);
    const near = world.from("us").txn(claim);
    expect(await world.clock.until(Promise.all([far, near]))).toMatchObject([{ status: "guard-failed" }, { status: "applied" }]);
  });

  it("never applies what was sent while the region was cut off, and answers unknown after the deadline", async () => {
    const world = new CoordinatedWorld();
    world.links.partition("us", "eu");
    const lost = world.from("us").txn(putA);
    await world.clock.advance(100);
    world.links.restoreAll();
    expect(await world.clock.until(lost)).toMatchObject({ status: "unknown" });
    expect(world.clock.monotonicMs()).toBe(LIMITS.wanAnswerMs + 80);
    expect(await world.has("a")).toBe(false);
  });

  it("does not apply a request that was cut on its way, and has applied one whose answer was cut: both look alike", async () => {
    for (const [cutAtMs, applied] of [
      [39, false],
      [41, true],
    ] as const) {
      const world = new CoordinatedWorld();
      const lost = world.from("us").txn(putA);
      await world.clock.advance(cutAtMs);
      world.links.lose("us");
      await world.clock.advance(1);
      world.links.restoreAll();
      expect(await world.clock.until(lost)).toMatchObject({ status: "unknown" });
      expect(world.clock.monotonicMs()).toBe(LIMITS.wanAnswerMs + 80);
      expect(await world.has("a")).toBe(applied);
    }
  });

  it("throws UNAVAILABLE for leases that get no answer", async () => {
    const world = new CoordinatedWorld();
    const us = world.from("us");
    const { lease } = await world.clock.until(us.grant(60_000));
    world.links.lose("us");
    const none = { code: "UNAVAILABLE" };
    const grant = expect(us.grant(1_000)).rejects.toMatchObject(none);
    const renew = expect(us.renew(lease)).rejects.toMatchObject(none);
    const revoke = expect(us.revoke(lease)).rejects.toMatchObject(none);
    await world.clock.until(Promise.all([grant, renew, revoke]));
    expect((await world.coordinator.renew(lease)).ttlMs).toBe(60_000);
  });

  it("carries the coordinator's own errors, after the way there and back", async () => {
    const world = new CoordinatedWorld();
    const wrong = world.from("us").txn({ puts: putA.puts ?? [], deletes: ["a"] });
    await expect(world.clock.until(wrong)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(world.clock.monotonicMs()).toBe(80);
  });

  it("gives up on a coordinator that hangs, after the deadline [G9]", async () => {
    const world = new CoordinatedWorld();
    const hanging = { txn: () => new Promise(() => {}) } as Partial<Coordinator> as Coordinator;
    const { result, ms } = await world.timed(() => world.from("us", hanging).txn(putA));
    expect([result.status, ms]).toEqual(["unknown", LIMITS.wanAnswerMs + 80]);
  });

  it("goes on for the other regions when the one that it answers from is lost", async () => {
    const world = new CoordinatedWorld();
    world.links.lose("eu");
    expect(await world.clock.until(world.from("us").txn(putA))).toMatchObject({ status: "applied" });
    expect(await world.clock.until(world.from("eu").txn(putA))).toMatchObject({ status: "unknown" });
  });
});

describe("a watch over the wide area", () => {
  it("shows each change after the way from there, however many there are", async () => {
    const world = new CoordinatedWorld();
    const watch = world.from("ap").watch("a", 2)[Symbol.asyncIterator]();
    await world.clock.advance(100);
    for (let at = 0; at < 500; at += 1) await world.coordinator.txn(putA);
    const startMs = world.clock.monotonicMs();
    const revisions: number[] = [];
    for (let at = 0; at < 500; at += 1) revisions.push((await world.clock.until(watch.next())).value?.header.revision ?? 0);
    expect(revisions).toEqual(Array.from({ length: 500 }, (_, at) => at + 2));
    expect(world.clock.monotonicMs() - startMs).toBe(80);
  });

  it("breaks at once when the region is cut off, though nothing is under way, and lets go of the coordinator's", async () => {
    const world = new CoordinatedWorld();
    const watch = world.from("us").watch("a", 2)[Symbol.asyncIterator]();
    const next = watch.next();
    await world.clock.advance(100);
    expect(world.coordinator.watches).toBe(1);
    world.links.partition("us", "eu");
    await expect(next).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(world.coordinator.watches).toBe(0);
    expect(world.clock.monotonicMs()).toBe(100);
  });

  it("goes on through faults that leave the coordinator in reach", async () => {
    const world = new CoordinatedWorld();
    const watch = world.from("us").watch("a", 2)[Symbol.asyncIterator]();
    await world.clock.advance(100);
    world.links.lose("ap");
    world.links.restoreAll();
    world.links.lose("eu");
    await world.coordinator.txn(putA);
    expect((await world.clock.until(watch.next())).value?.events).toHaveLength(1);
    expect(world.coordinator.watches).toBe(1);
  });

  it("loses the changes that were under way when it was cut, and shows those that had arrived first", async () => {
    const world = new CoordinatedWorld();
    const watch = world.from("us").watch("a", 2)[Symbol.asyncIterator]();
    await world.clock.advance(100);
    await world.coordinator.txn(putA);
    await world.clock.advance(50);
    await world.coordinator.txn(putA);
    await world.clock.advance(39);
    world.links.lose("us");
    world.links.restoreAll();
    expect((await watch.next()).value?.header.revision).toBe(2);
    await expect(watch.next()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("that is begun while the region is cut off never begins, and throws after the deadline", async () => {
    const world = new CoordinatedWorld();
    world.links.lose("us");
    const watch = world.from("us").watch("a", 2)[Symbol.asyncIterator]();
    await expect(world.clock.until(watch.next())).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(world.clock.monotonicMs()).toBe(LIMITS.wanAnswerMs + 80);
    expect(world.coordinator.watches).toBe(0);
  });

  it("that is left before its request arrived never begins either", async () => {
    const world = new CoordinatedWorld();
    const watch = world.from("us").watch("a", 2)[Symbol.asyncIterator]();
    const next = watch.next();
    await watch.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    await world.clock.advance(1_000);
    expect(world.coordinator.watches).toBe(0);
  });

  it("tells of a compaction behind the changes before it, after the way from there", async () => {
    const world = new CoordinatedWorld();
    await world.coordinator.txn(putA);
    await world.coordinator.txn(putA);
    world.coordinator.compact(3);
    const watch = world.from("us").watch("a", 2)[Symbol.asyncIterator]();
    await expect(world.clock.until(watch.next())).rejects.toMatchObject({ code: "TRUNCATED" });
    expect(world.clock.monotonicMs()).toBe(80);
  });

  it("ends with TRUNCATED when its loop is too slow, and keeps no more than its share [G9]", async () => {
    const world = new CoordinatedWorld();
    const watch = world.from("us").watch("a", 2)[Symbol.asyncIterator]();
    await world.clock.advance(100);
    for (let at = 0; at <= LIMITS.coordinatorWatchQueue; at += 1) await world.coordinator.txn(putA);
    await world.clock.advance(1_000);
    expect(world.coordinator.watches).toBe(0);
    for (let at = 0; at < LIMITS.coordinatorWatchQueue; at += 1) expect((await watch.next()).done).toBe(false);
    await expect(watch.next()).rejects.toMatchObject({ code: "TRUNCATED" });
  });
});
