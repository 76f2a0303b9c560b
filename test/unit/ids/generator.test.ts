import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ID_EPOCH_MS } from "../../../src/ids/layout.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { IdWorld, type TestNode } from "./world.ts";

describe("a node's ids", () => {
  let world: IdWorld;
  let node: TestNode;

  beforeEach(async () => {
    world = new IdWorld();
    node = await world.started("n1");
  });

  const nowMs = () => world.time.wallMs() + node.clock.aheadMs;
  const idAt = (utcMs: number) => world.layout.compose({ utcMs, worker: 1_023, counter: 4_095 });

  it("bear the time at which they were made and the node's worker number", () => {
    const { utcMs, worker, counter } = world.layout.decompose(world.take(node));
    expect({ utcMs, worker, counter }).toEqual({ utcMs: nowMs(), worker: node.ids.worker(), counter: 0 });
  });

  it("come in blocks of consecutive ids that each lie in one millisecond [G5]", () => {
    const first = world.take(node, 4_000);
    expect(world.take(node, 96)).toBe(first + 4_000n);
    const next = world.take(node, 128);
    expect(world.layout.decompose(next)).toMatchObject({ utcMs: nowMs() + 1, counter: 0 });
  });

  it("begin a new millisecond where a block does not fit into the present one [G5]", () => {
    world.take(node, 4_000);
    expect(world.layout.decompose(world.take(node, 128))).toMatchObject({ utcMs: nowMs() + 1, counter: 0 });
  });

  it("run at most a second ahead of the clock, then have to be waited for [G9]", async () => {
    for (let i = 0; i <= LIMITS.idLeadMs; i += 1) world.take(node, 4_096);
    expect(world.block(node, 1)).toEqual({ kind: "wait", ms: 1 });
    await world.time.advance(1);
    expect(world.utcMsOf(world.take(node, 1))).toBe(nowMs() + LIMITS.idLeadMs);
  });

  it("are larger than the conversation's last one and than what the client has seen [G8]", () => {
    const log = idAt(nowMs() + 300);
    const client = idAt(nowMs() + 700);
    expect(world.take(node, 1, { log })).toBeGreaterThan(log);
    expect(world.take(node, 1, { log, client })).toBeGreaterThan(client);
  });

  it("grow from block to block, whatever the floors [G5]", () => {
    const high = world.take(node, 1, { client: idAt(nowMs() + 500) });
    expect(world.take(node)).toBeGreaterThan(high);
  });

  it("wait for what a client has seen of an honest clock that is ahead, but are not pushed there [G8]", async () => {
    const client = idAt(nowMs() + LIMITS.idLeadMs + LIMITS.clockErrorMs);
    expect(world.block(node, 1, { client })).toEqual({ kind: "wait", ms: LIMITS.clockErrorMs + 1 });
    expect(world.utcMsOf(world.take(node))).toBe(nowMs());
    expect(await world.takeSoon(node, 1, { client })).toBeGreaterThan(client);
    expect(node.telemetry.counters.get("ids.clamped")).toBeUndefined();
  });

  it("are not pushed into the future by a client: its floor is clamped and counted", () => {
    for (const client of [idAt(nowMs() + 60_000), 2n ** 64n - 1n]) {
      const id = world.take(node, 1, { client });
      expect(world.utcMsOf(id)).toBeLessThanOrEqual(nowMs() + LIMITS.idLeadMs);
    }
    expect(node.telemetry.counters.get("ids.clamped")).toBe(2);
  });

  it.each([
    ["unsynchronised", (n: TestNode) => Object.assign(n.clock, { unsynchronised: "no server answers" })],
    ["of too wide a bound", (n: TestNode) => Object.assign(n.clock, { errorMs: LIMITS.clockErrorMs + 1 })],
    ["before the ids' epoch", (n: TestNode) => Object.assign(n.clock, { aheadMs: ID_EPOCH_MS - 1 - world.time.wallMs() })],
  ])("are not given out by a clock that is %s", (_what, spoil) => {
    spoil(node);
    expect(world.block(node, 1)).toMatchObject({ kind: "refused", error: { code: "CLOCK_UNSYNCED" } });
    expect(node.ids.worker()).toMatchObject({ code: "CLOCK_UNSYNCED" });
  });

  it("are refused in other numbers than 1 to 4,096", () => {
    for (const count of [0, -1, 1.5, 4_097]) {
      expect(world.block(node, count)).toMatchObject({ kind: "refused", error: { code: "INVALID_ARGUMENT" } });
    }
  });

  it("stay unique and growing when the clock goes back a little: they wait until it has caught up [G5]", async () => {
    for (let i = 0; i < 500; i += 1) world.take(node, 4_096);
    const last = world.take(node);
    node.clock.aheadMs = -1_000;
    expect(world.block(node, 1).kind).toBe("wait");
    expect(await world.takeSoon(node)).toBeGreaterThan(last);
  });

  it("go on under another worker number when the clock goes back far, and the operator is told [G5]", async () => {
    node.clock.aheadMs = 5_000;
    const worker = node.ids.worker();
    const log = world.take(node);
    node.clock.aheadMs = 0;
    const id = await world.takeSoon(node);
    expect(world.utcMsOf(id)).toBeLessThan(world.utcMsOf(log));
    expect(node.ids.worker()).not.toBe(worker);
    expect(node.telemetry.events()).toContain("ids.clock-went-back");
  });

  describe("in a conversation whose last id a broken clock made", () => {
    it("grow from there under a second worker number, while all others stay near the clock, and the operator is told [G5]", async () => {
      const log = idAt(nowMs() + 3_600_000);
      const first = await world.takeSoon(node, 128, { log });
      const second = await world.takeSoon(node, 128, { log: first + 127n });
      expect(first).toBeGreaterThan(log);
      expect(second).toBeGreaterThan(first);
      expect(world.utcMsOf(second)).toBeLessThanOrEqual(world.utcMsOf(log) + 2);
      expect(world.layout.decompose(first).worker).not.toBe(node.ids.worker());
      expect(world.utcMsOf(world.take(node))).toBe(nowMs());
      expect(node.telemetry.events().filter((event) => event === "ids.far-future")).toHaveLength(1);
    });

    it("go on under the first number once the clock has caught up", async () => {
      const log = await world.takeSoon(node, 1, { log: idAt(nowMs() + 10_000) });
      await world.time.advance(10_000);
      expect(world.layout.decompose(world.take(node, 1, { log })).worker).toBe(node.ids.worker());
    });

    it("jump on when another such conversation is further ahead", async () => {
      const near = await world.takeSoon(node, 1, { log: idAt(nowMs() + 3_600_000) });
      const far = await world.takeSoon(node, 1, { log: idAt(nowMs() + 36_000_000) });
      expect(far).toBeGreaterThan(near);
    });

    it("are refused at the end of time", () => {
      for (const log of [idAt(world.layout.lastUtcMs), 2n ** 64n - 1n]) {
        expect(world.block(node, 1, { log })).toMatchObject({
          kind: "refused",
          error: { code: "CLOCK_UNSYNCED", retry: "never" },
        });
      }
    });
  });

  it("can be awaited: next waits as long as it takes", async () => {
    for (let i = 0; i <= LIMITS.idLeadMs; i += 1) world.take(node, 4_096);
    const id = await world.time.until(node.ids.next(10));
    expect(world.utcMsOf(id)).toBe(nowMs() + LIMITS.idLeadMs);
  });

  it("are not awaited beyond the deadline [G9]", async () => {
    const above = { log: idAt(nowMs() + 2_900), client: 0n };
    const startedMs = world.time.monotonicMs();
    const late = node.ids.next(1, { above, deadlineMs: 500 });
    await expect(world.time.until(late)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(world.time.monotonicMs() - startedMs).toBe(500);
  });

  it("are not awaited where they are refused", async () => {
    node.clock.unsynchronised = "no server answers";
    await expect(node.ids.next(1)).rejects.toMatchObject({ code: "CLOCK_UNSYNCED" });
  });

  it("hold all this for any course of takes, pauses and steps of the clock [G5][G8]", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("take" as const), count: fc.integer({ min: 1, max: 4_096 }), seen: fc.boolean() }),
      fc.record({ kind: fc.constant("pause" as const), ms: fc.integer({ min: 0, max: 400 }) }),
      fc.record({ kind: fc.constant("step" as const), aheadMs: fc.integer({ min: -5_000, max: 5_000 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const fresh = new IdWorld();
        const tried = await fresh.started("n1");
        let last = 0n;
        for (const act of steps) {
          if (act.kind === "pause") await fresh.time.advance(act.ms);
          else if (act.kind === "step") tried.clock.aheadMs = act.aheadMs;
          else {
            const first = await fresh.takeSoon(tried, act.count, { log: act.seen ? last : 0n });
            if (act.seen) last = first + BigInt(act.count) - 1n;
          }
        }
        await tried.stop();
      }),
      { numRuns: 100 },
    );
  });
});
