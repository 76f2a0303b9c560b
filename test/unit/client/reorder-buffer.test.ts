import { describe, expect, it } from "vitest";
import { type Arrival, ReorderBuffer } from "../../../src/client/reorder-buffer.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { ScriptedLog } from "./scripted-gateway.ts";

const log = new ScriptedLog("standup");
for (let i = 0; i < 5; i += 1) log.say("x", "y");
const arrivals: Arrival[] = log.batches.map((batch) => ({ batch, credit: 10 }));
const [first, second, third, fourth] = arrivals as [Arrival, Arrival, Arrival, Arrival, Arrival];

describe("the reorder buffer", () => {
  it("gives a batch out when its turn comes, and once", () => {
    const buffer = new ReorderBuffer();
    buffer.park(second);
    buffer.park(third);
    expect(buffer.take(1)).toBeUndefined();
    expect(buffer.take(3)).toBe(second);
    expect(buffer.take(3)).toBeUndefined();
    expect(buffer.firstSeq).toBe(5);
    expect(buffer.take(6)).toBe(third);
    expect(buffer.credit).toBe(0);
  });

  it("takes each batch once", () => {
    const buffer = new ReorderBuffer();
    expect(buffer.park(second)).toBeUndefined();
    expect(buffer.park(second)).toBe(second);
    expect(buffer.credit).toBe(10);
  });

  it("drops what is furthest ahead when it holds 16 MiB, and remembers that it exists [G9]", () => {
    const buffer = new ReorderBuffer();
    const big = (arrival: Arrival): Arrival => ({
      credit: 1,
      batch: { ...arrival.batch, bytes: new Uint8Array(LIMITS.reorderBytes / 2) },
    });
    expect(buffer.park(big(second))).toBeUndefined();
    expect(buffer.park(big(fourth))).toBeUndefined();
    expect(buffer.park(big(third))?.batch.firstSeq).toBe(7);
    expect(buffer.park(big(fourth))?.batch.firstSeq).toBe(7);
    expect(buffer.promisedSeq).toBe(8);
    expect(buffer.size).toBe(2);
  });

  it("drops what has become old", () => {
    const buffer = new ReorderBuffer();
    for (const arrival of [first, second, third]) buffer.park(arrival);
    expect(buffer.dropThrough(4)).toEqual([first, second]);
    expect(buffer.dropThrough(5)).toEqual([]);
    expect(buffer.firstSeq).toBe(5);
  });
});
