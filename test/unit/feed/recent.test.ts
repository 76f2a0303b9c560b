import { describe, expect, it } from "vitest";
import { RecentBatches, RecentMemory, upTo } from "../../../src/feed/recent.ts";
import { type Batch, EMPTY } from "../../../src/log/batch.ts";
import { batchAfter, endOf } from "../../support/chains.ts";

const ROOMY = 1_000_000;

function chain(...sizes: readonly number[]): Batch[] {
  const batches: Batch[] = [];
  for (const size of sizes) {
    const last = batches.at(-1);
    const texts = Array.from({ length: size }, (_, i) => `text ${i}`);
    batches.push(batchAfter(last === undefined ? EMPTY : endOf(last), texts));
  }
  return batches;
}

function ringOf(batches: readonly Batch[], memory = new RecentMemory(ROOMY), limitBytes = ROOMY): RecentBatches {
  const ring = new RecentBatches(memory, limitBytes);
  for (const batch of batches) ring.push(batch);
  return ring;
}

function bytesOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
}

describe("RecentBatches", () => {
  it("answers from the batch that holds a seq, for every seq that it has", () => {
    const batches = chain(3, 1, 2, 5);
    const ring = ringOf(batches);
    for (const [i, batch] of batches.entries()) {
      for (let seq = batch.firstSeq; seq <= batch.lastSeq; seq += 1) {
        expect(ring.from(seq, ROOMY)).toEqual(batches.slice(i));
      }
    }
    expect(ring.from(0, ROOMY)).toBeUndefined();
    expect(ring.from(12, ROOMY)).toBeUndefined();
  });

  it("answers up to the limit, but at least one batch", () => {
    const batches = chain(1, 1, 1);
    const ring = ringOf(batches);
    expect(ring.from(1, 1)).toEqual(batches.slice(0, 1));
    expect(ring.from(1, bytesOf(batches.slice(0, 2)))).toEqual(batches.slice(0, 2));
    expect(upTo(1, [])).toEqual([]);
  });

  it("drops the oldest batches beyond its limit and never the newest one [G9]", () => {
    const batches = chain(...Array.from({ length: 100 }, () => 1));
    const limit = bytesOf(batches.slice(-3));
    const ring = ringOf(batches, new RecentMemory(ROOMY), limit);
    expect(ring.bytes).toBeLessThanOrEqual(limit);
    expect(ring.from(97, ROOMY)).toBeUndefined();
    expect(ring.from(98, ROOMY)).toEqual(batches.slice(-3));
    expect(ringOf(batches, new RecentMemory(ROOMY), 1).from(100, ROOMY)).toEqual(batches.slice(-1));
  });

  it("refuses a batch that does not chain on", () => {
    const [first, , third] = chain(1, 1, 1) as [Batch, Batch, Batch];
    const ring = ringOf([first]);
    expect(() => ring.push(third)).toThrow("chain");
  });

  it("tells a watermark of its own chain from one of another, and from one it knows nothing of", () => {
    const batches = chain(2, 3);
    const [first, second] = batches as [Batch, Batch];
    const other = batchAfter(EMPTY, ["another", "history"]);
    const ring = ringOf(batches);
    expect(ring.agrees(EMPTY)).toBe(true);
    expect(ring.agrees(endOf(first))).toBe(true);
    expect(ring.agrees(endOf(second))).toBe(true);
    expect(ring.agrees(endOf(other))).toBe(false);
    expect(ring.agrees({ seq: 3, hash: first.hash })).toBe(false);
    expect(ring.agrees({ seq: 6, hash: first.hash })).toBeUndefined();
  });
});

describe("RecentMemory", () => {
  it("takes the ring of the conversation that was silent longest when all together hold too much [G9]", () => {
    const batches = chain(1, 1, 1, 1);
    const memory = new RecentMemory(bytesOf(batches) + bytesOf(batches.slice(0, 2)));
    const silent = ringOf(batches.slice(0, 2), memory);
    const busy = ringOf(batches.slice(0, 3), memory);
    expect(silent.bytes).toBeGreaterThan(0);
    const busier = ringOf(batches.slice(0, 2), memory);
    expect(silent.bytes).toBe(0);
    expect(silent.from(1, ROOMY)).toBeUndefined();
    expect(memory.bytes).toBe(busy.bytes + busier.bytes);
  });

  it("counts what rings drop and clear", () => {
    const batches = chain(1, 1, 1, 1, 1);
    const memory = new RecentMemory(ROOMY);
    const ring = ringOf(batches, memory, bytesOf(batches.slice(-2)));
    expect(memory.bytes).toBe(ring.bytes);
    ring.clear();
    expect(memory.bytes).toBe(0);
  });
});
