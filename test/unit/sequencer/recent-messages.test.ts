import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { RecentMessages } from "../../../src/sequencer/recent-messages.ts";

function filled(from: number, to: number): RecentMessages<string> {
  const recent = new RecentMessages<string>();
  for (let seq = from; seq <= to; seq += 1) {
    const producer = seq % 3 === 0 ? undefined : `p${seq}`;
    recent.push(seq, { id: BigInt(10 * seq), producer, counter: BigInt(seq + 1), digest: 2n ** 64n - BigInt(seq) });
  }
  return recent;
}

describe("recent messages", () => {
  it.each([
    [1, 1],
    [1, 16],
    [1, 17],
    [1_001, 1_100],
    [1, LIMITS.dedupMessages],
    [1, LIMITS.dedupMessages + 100],
  ])("from %i to %i are found by their seqs as far as they are kept [G9]", (from, to) => {
    const recent = filled(from, to);

    const first = Math.max(from, to - LIMITS.dedupMessages + 1);
    expect([recent.firstSeq, recent.endSeq]).toEqual([first, to + 1]);
    for (let seq = first; seq <= to; seq += 1) {
      const found = [recent.id(seq), recent.producer(seq), recent.counter(seq), recent.digest(seq)];
      const wanted = [BigInt(10 * seq), seq % 3 === 0 ? undefined : `p${seq}`, BigInt(seq + 1), 2n ** 64n - BigInt(seq)];
      if (found.some((value, i) => value !== wanted[i])) expect([seq, ...found]).toEqual([seq, ...wanted]);
    }
  });

  it("name the one that the next pushes out, once there are as many as are kept", () => {
    expect(filled(1, LIMITS.dedupMessages - 1).leaving).toBeUndefined();
    expect(filled(1, LIMITS.dedupMessages).leaving).toBe(1);
    expect(filled(1, LIMITS.dedupMessages + 5).leaving).toBe(6);
  });

  it("come in the order of their seqs", () => {
    const next = { id: 1n, producer: undefined, counter: 1n, digest: 1n };
    expect(() => filled(1, 3).push(5, next)).toThrow("in the order of their seqs");
  });
});
