import { beforeEach, describe, expect, it } from "vitest";
import { IdLayout } from "../../../src/ids/layout.ts";
import { claimKey, fenceKey } from "../../../src/ids/worker-keys.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import type { KeyValue } from "../../../src/ports/coordinator.ts";
import { IdWorld, isClaim, isFence, type TestNode, TTL_MS } from "./world.ts";

/** As few worker numbers as the layout allows for, so that they have to be shared. */
const layoutFor = (workerBits: number) => new IdLayout({ timeBits: 51 - workerBits, workerBits, counterBits: 12 });

describe("a leased worker number", () => {
  let world: IdWorld;

  beforeEach(() => {
    world = new IdWorld(layoutFor(1));
  });

  const numberOf = (node: TestNode): number => {
    const worker = node.ids.worker();
    if (typeof worker !== "number") throw worker;
    return worker;
  };
  const read = async (key: string): Promise<KeyValue | undefined> => {
    const answer = await world.coordinator.txn({ ranges: [{ key }] });
    return "header" in answer ? answer.ranges[0]?.kvs[0] : undefined;
  };
  const storedUntilMs = async (worker: number): Promise<number> => {
    const kv = await read(fenceKey(worker));
    return kv === undefined ? 0 : (JSON.parse(new TextDecoder().decode(kv.value)) as { untilMs: number }).untilMs;
  };
  const fences = (node: TestNode) => node.way.sent.filter(({ txn }) => isFence(txn));
  const putText = (key: string, text: string) =>
    world.coordinator.txn({ puts: [{ key, value: new TextEncoder().encode(text) }] });

  describe("is fenced", () => {
    it("before the first id: until its fence is stored there are none [G5]", async () => {
      const node = world.node("n1");
      const fence = node.way.loseNext({ held: true }, { when: isFence });
      node.start();
      await world.time.until(fence.sent);
      await world.time.advance(50);
      expect(world.block(node, 1)).toEqual({ kind: "wait", ms: 10 });
      await world.time.advance(200);
      expect(world.block(node, 1).kind).toBe("block");
    });

    it("ahead of the clock all the time, by a transaction every two seconds [G5]", async () => {
      const node = await world.started("n1");
      for (let i = 0; i < 200; i += 1) {
        expect(world.utcMsOf(world.take(node))).toBeLessThanOrEqual(await storedUntilMs(numberOf(node)));
        await world.time.advance(100);
      }
      expect(fences(node).length).toBeGreaterThanOrEqual(8);
      expect(fences(node).length).toBeLessThanOrEqual(11);
    });

    it("so that nothing is issued above what is known to be stored, even when the clock leaps [G5]", async () => {
      const node = await world.started("n1");
      node.clock.aheadMs = 60_000;
      expect(world.block(node, 1)).toEqual({ kind: "wait", ms: 10 });
      const id = await world.takeSoon(node);
      expect(world.utcMsOf(id)).toBeLessThanOrEqual(await storedUntilMs(numberOf(node)));
    });

    it("by whoever holds it: a fence that the guards refuse ends the number here, even one that bears our own mark [G5]", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      const own = await read(fenceKey(worker));
      await world.coordinator.txn({ puts: [{ key: fenceKey(worker), value: own?.value ?? new Uint8Array() }] });
      await world.time.advance(2 * LIMITS.fenceMoveMs);
      expect(numberOf(node)).not.toBe(worker);
      expect(world.layout.decompose(world.take(node)).worker).not.toBe(worker);
    });

    it("by one process: a copy of it that moves the fence first, to the very same place, ends the number here [G5]", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      let copied = false;
      node.way.observe((txn) => {
        if (copied || !isFence(txn)) return;
        copied = true;
        void world.coordinator.txn({ puts: txn.puts ?? [] });
      });
      await world.time.advance(2 * LIMITS.fenceMoveMs);
      expect(copied).toBe(true);
      expect(numberOf(node)).not.toBe(worker);
    });

    it("or ends: another's claim in place of ours ends the number here [G5]", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      await putText(claimKey(worker), "somebody else");
      await world.time.advance(2 * LIMITS.fenceMoveMs);
      expect(numberOf(node)).not.toBe(worker);
    });
  });

  describe("whose fence was moved with an unknown outcome", () => {
    it("goes on when reading shows that the move was stored", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      node.way.loseNext({ applyAfterMs: 0 }, { when: isFence });
      for (let i = 0; i < 100; i += 1) {
        world.take(node);
        await world.time.advance(200);
      }
      expect(fences(node).filter(({ course }) => course === "lost")).toHaveLength(1);
      expect(numberOf(node)).toBe(worker);
    });

    it("repeats the same move until it is decided, and goes on if a late copy of it won [G5]", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      const lost = node.way.loseNext({ applyAfterMs: 150 }, { when: isFence, answerAfterMs: 10 });
      node.way.loseNext({ applyAfterMs: 150 }, { when: isFence, answerAfterMs: 10 });
      await world.time.until(lost.landed);
      await world.time.advance(10_000);
      const [, first, second, third, fourth] = fences(node);
      expect(first?.answer?.status).toBe("applied");
      expect([second?.txn, third?.txn]).toEqual([first?.txn, first?.txn]);
      expect([second?.answer?.status, third?.answer?.status]).toEqual(["guard-failed", "guard-failed"]);
      expect(fourth?.txn).not.toEqual(first?.txn);
      expect(numberOf(node)).toBe(worker);
    });

    it("ends at once when reading shows that the claim is gone, even if the move was stored [G5]", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      const lost = node.way.loseNext({ applyAfterMs: 0 }, { when: isFence, answerAfterMs: 100 });
      await world.time.until(lost.landed);
      await putText(claimKey(worker), "somebody else");
      await world.time.advance(300);
      expect(numberOf(node)).not.toBe(worker);
    });

    it("ends when reading shows somebody else's fence [G5]", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      const lost = node.way.loseNext({ held: true }, { when: isFence, answerAfterMs: 100 });
      await world.time.until(lost.sent);
      await putText(fenceKey(worker), JSON.stringify({ untilMs: world.time.wallMs() + 1, process: "another" }));
      await world.time.advance(1_000);
      expect(numberOf(node)).not.toBe(worker);
    });
  });

  describe("is chosen and claimed", () => {
    it("so that no two nodes have one number at a time, and who finds none says so [G5]", async () => {
      const nodes = [world.node("n1"), world.node("n2")];
      for (const node of nodes) node.start();
      await world.time.advance(500);
      expect(new Set(nodes.map(numberOf))).toEqual(new Set([0, 1]));
      const third = await world.started("n3");
      expect(world.block(third, 1)).toMatchObject({ kind: "refused", error: { code: "UNAVAILABLE" } });
      expect(third.telemetry.events()).toContain("ids.no-worker");
    });

    it("with the lowest fence first, so that a quick restart need not wait [G5]", async () => {
      world = new IdWorld(layoutFor(2));
      const used = new Set<number>();
      for (let life = 0; life < 4; life += 1) {
        const node = await world.started("n1");
        used.add(world.layout.decompose(world.take(node)).worker);
        await node.stop();
      }
      expect(used.size).toBe(4);
    });

    it("and begins above the fence of its last holder [G5]", async () => {
      const old = await world.started("old");
      for (const other of [0, 1].filter((worker) => worker !== numberOf(old))) await putText(claimKey(other), "held for ever");
      const worker = numberOf(old);
      await old.stop();
      const untilMs = await storedUntilMs(worker);
      await putText(fenceKey(worker), JSON.stringify({ untilMs: world.time.wallMs() + 1_500, process: "old" }));
      const heir = await world.started("heir");
      expect(numberOf(heir)).toBe(worker);
      expect(untilMs).toBeGreaterThan(world.time.wallMs());
      expect(world.utcMsOf(await world.takeSoon(heir))).toBeGreaterThan(world.time.wallMs());
      expect(await storedUntilMs(worker)).toBeGreaterThan(world.time.wallMs() + 1_500);
    });

    it("by the fence that it was chosen by: one that moved since is chosen anew [G5]", async () => {
      const node = world.node("n1");
      const untilMs = world.time.wallMs() + 1_500;
      let moved = false;
      node.way.observe((txn) => {
        if (moved || !isClaim(txn)) return;
        moved = true;
        for (const worker of [0, 1]) void putText(fenceKey(worker), JSON.stringify({ untilMs, process: "another" }));
      });
      node.start();
      await world.time.advance(200);
      expect(node.way.sent.filter(({ txn }) => isClaim(txn)).map(({ answer }) => answer?.status)).toEqual([
        "guard-failed",
        "applied",
      ]);
      expect(world.utcMsOf(await world.takeSoon(node))).toBeGreaterThan(untilMs);
    });

    it("unless its ids could lie too far in the clock's future: then there are none, and the clock is blamed", async () => {
      for (const worker of [0, 1]) {
        await putText(fenceKey(worker), JSON.stringify({ untilMs: world.time.wallMs() + 60_000, process: "old" }));
      }
      const node = await world.started("n1");
      expect(world.block(node, 1)).toMatchObject({ kind: "refused", error: { code: "CLOCK_UNSYNCED" } });
    });

    it("unless its fence cannot be read: that number is never taken [G5]", async () => {
      await putText(fenceKey(0), "scribble");
      await putText(fenceKey(1), JSON.stringify({ untilMs: world.time.wallMs(), process: "old" }));
      expect(numberOf(await world.started("n1"))).toBe(1);
    });

    it("once: a claim of unknown outcome that landed is found by reading", async () => {
      const node = world.node("n1");
      node.way.loseNext({ applyAfterMs: 0 }, { when: isClaim });
      node.start();
      await world.time.advance(500);
      expect(node.way.sent.filter(({ txn }) => isClaim(txn))).toHaveLength(1);
      expect(numberOf(node)).toBeTypeOf("number");
    });

    it("once: a claim that lands after it was given up blocks its number, but nobody issues with it [G5]", async () => {
      const node = world.node("n1");
      const lost = node.way.loseNext({ held: true }, { when: isClaim });
      node.start();
      await world.time.until(lost.sent);
      await world.time.advance(1_000);
      const worker = numberOf(node);
      const landed = await lost.land();
      await world.time.advance(1_000);
      expect(numberOf(node)).toBe(worker);
      expect(world.layout.decompose(world.take(node)).worker).toBe(worker);
      const late = [0, 1].find((number) => number !== worker) ?? -1;
      if (landed.status === "applied") expect(await read(claimKey(late))).toBeDefined();
    });

    it("anew on a new lease", async () => {
      const node = await world.started("n1");
      const before = await read(claimKey(numberOf(node)));
      node.way.renewals("lost");
      await world.time.advance(TTL_MS);
      node.way.renewals("pass");
      await world.time.advance(3_000);
      const after = await read(claimKey(numberOf(node)));
      expect(after?.lease).toBe(node.lease?.id);
      expect(after?.lease).not.toBe(before?.lease);
      world.take(node);
    });

    it("and given back when the node stops", async () => {
      const node = await world.started("n1");
      const worker = numberOf(node);
      expect(await read(claimKey(worker))).toBeDefined();
      await world.time.until(node.stop());
      expect(await read(claimKey(worker))).toBeUndefined();
      expect(node.ids.block(1, { log: 0n, client: 0n }).kind).not.toBe("block");
    });
  });

  describe("passes to another node", () => {
    it("only after its former holder, cut off, has stopped issuing; and ids begin above all of its own [G5]", async () => {
      const former = await world.started("former");
      const worker = numberOf(former);
      await putText(claimKey(1 - worker), "held for ever");
      const heir = await world.started("heir");
      former.way.cut();
      let lastOfFormer = 0n;
      let endedAtMs = 0;
      let begunAtMs = 0;
      for (let i = 0; i < 400 && begunAtMs === 0; i += 1) {
        const block = world.block(former, 1);
        if (block.kind === "block") {
          lastOfFormer = block.first;
          endedAtMs = world.time.monotonicMs();
        }
        const firstOfHeir = world.block(heir, 1);
        if (firstOfHeir.kind === "block") {
          begunAtMs = world.time.monotonicMs();
          expect(world.layout.decompose(firstOfHeir.first)).toMatchObject({ worker });
          expect(firstOfHeir.first).toBeGreaterThan(lastOfFormer);
        }
        await world.time.advance(50);
      }
      expect(endedAtMs).toBeGreaterThan(0);
      expect(begunAtMs).toBeGreaterThan(endedAtMs);
    });

    it("and a machine that wakes after its lease's deadline issues nothing, before any timer fires [G5]", async () => {
      const node = await world.started("n1");
      expect(world.block(node, 1).kind).toBe("block");
      node.clock.suspendedMs = TTL_MS;
      expect(world.block(node, 1)).toMatchObject({ kind: "refused", error: { code: "UNAVAILABLE" } });
    });

    it("and a fence that the former holder sent cannot land while the heir has none of its own [G5]", async () => {
      const former = await world.started("former");
      const worker = numberOf(former);
      await putText(claimKey(1 - worker), "held for ever");
      const late = former.way.loseNext({ held: true }, { when: isFence });
      await world.time.until(late.sent);
      await former.kill();
      const heir = world.node("heir");
      const first = heir.way.loseNext({ held: true }, { when: isFence, answerAfterMs: 500 });
      heir.start();
      await world.time.until(first.sent);
      const before = await read(fenceKey(worker));
      expect((await late.land()).status).toBe("guard-failed");
      expect(await read(fenceKey(worker))).toEqual(before);
    });

    it("and a fence that the former holder sent lands no more [G5]", async () => {
      const former = await world.started("former");
      const worker = numberOf(former);
      await putText(claimKey(1 - worker), "held for ever");
      const late = former.way.loseNext({ held: true }, { when: isFence });
      await world.time.until(late.sent);
      await former.kill();
      const heir = await world.started("heir");
      await world.time.advance(2 * LIMITS.fenceAheadMs);
      expect(numberOf(heir)).toBe(worker);
      const before = await read(fenceKey(worker));
      expect((await late.land()).status).toBe("guard-failed");
      expect(await read(fenceKey(worker))).toEqual(before);
    });
  });
});
