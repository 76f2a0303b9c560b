import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { seqsAllowed } from "../../../src/verify/attribution.ts";
import type { Send } from "../../../src/verify/conversation.ts";

function sendOf(n: number, more: { readonly key?: string; readonly status?: "rejected" | "unknown" } = {}): Send {
  const { status = "unknown", ...keyed } = more;
  const base = { producer: "ada/1", conversation: "standup", n, atMs: n };
  const outcome =
    status === "rejected"
      ? { status, error: "OVERLOADED", ...base, t: "outcome" as const }
      : { status, ...base, t: "outcome" as const };
  return {
    ...base,
    ...keyed,
    t: "send",
    client: "ada",
    region: "east",
    sender: "ada",
    digest: "00",
    seenId: "0",
    seen: { id: "0", line: n },
    line: n,
    outcome: { ...outcome, line: 10 + n },
  };
}

describe("the places that like sends may take", () => {
  it("are one each, but none for those that were refused [G3] [G6]", () => {
    const sends = [sendOf(1), sendOf(2), sendOf(3, { status: "rejected" })];
    expect(seqsAllowed({ sends, seqs: [1, 2] })).toBe(2);
  });

  it("are one together where they have one key, as long as a leader remembers it [G3]", () => {
    const sends = [sendOf(1, { key: "k" }), sendOf(2, { key: "k" })];
    expect(seqsAllowed({ sends, seqs: [5, 5 + LIMITS.dedupMessages] })).toBe(1);
    expect(seqsAllowed({ sends, seqs: [5, 6 + LIMITS.dedupMessages] })).toBe(2);
  });

  it("are never more than the sends, however far apart they lie [G3]", () => {
    const far = 2 * LIMITS.dedupMessages;
    expect(seqsAllowed({ sends: [sendOf(1, { key: "k" })], seqs: [1, far, 2 * far] })).toBe(1);
    expect(seqsAllowed({ sends: [sendOf(1)], seqs: [1, far] })).toBe(1);
  });
});
