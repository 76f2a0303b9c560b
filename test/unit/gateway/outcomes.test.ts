import { describe, expect, it } from "vitest";
import { outcomeRuns } from "../../../src/gateway/outcomes.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import type { Fate } from "../../../src/routing/leaders.ts";

function placed(seq: number, id: bigint = BigInt(1_000 + seq)): Fate {
  return { kind: "placed", seq, id };
}

function settled(firstCounter: number, ...fates: readonly Fate[]) {
  return { firstCounter, count: fates.length, result: { kind: "fates", fates } as const };
}

describe("outcomeRuns", () => {
  it("joins neighbours with consecutive counters, seqs and ids, over several submits", () => {
    expect(outcomeRuns([settled(1, placed(5), placed(6)), settled(3, placed(7))])).toEqual([
      { counter: 1n, count: 3, fate: { case: "placed", value: { seq: 5n, id: 1005n } } },
    ]);
  });

  it("begins a new run where a counter, a seq, an id or the kind of fate does not go on", () => {
    const first = settled(1, placed(5));
    const others: readonly [string, ReturnType<typeof settled>][] = [
      ["counter", settled(3, placed(6))],
      ["seq", settled(2, placed(7, 1006n))],
      ["id", settled(2, placed(6, 2_000n))],
      ["kind", settled(2, { kind: "skipped", seq: 6, id: 1006n })],
    ];
    for (const [what, other] of others) expect(outcomeRuns([first, other]), what).toHaveLength(2);
  });

  it("says a common error once over all counters, and different errors apart", () => {
    const gone = new MeridianError("UNAVAILABLE", "gone");
    const full = new MeridianError("OVERLOADED", "full");
    const runs = outcomeRuns([
      { firstCounter: 1, count: 100, result: { kind: "failed", error: gone } },
      settled(101, { kind: "refused", error: gone }, { kind: "refused", error: full }),
    ]);
    expect(runs.map(({ counter, count }) => [counter, count])).toEqual([
      [1n, 101],
      [102n, 1],
    ]);
    expect(runs[0]?.fate).toMatchObject({ case: "error", value: { code: "UNAVAILABLE", message: "gone" } });
    expect(runs[1]?.fate).toMatchObject({ case: "error", value: { code: "OVERLOADED", message: "full" } });
  });
});
