import { describe, expect, it } from "vitest";
import { Suspects } from "../../../../src/adapters/cassandra/suspects.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";

const TRY_MS = LIMITS.cassandraTryMs;

describe("nodes of Cassandra that seem to stand still", () => {
  const world = () => {
    let nowMs = 10_000;
    const suspects = new Suspects({ clock: { monotonicMs: () => nowMs } });
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { suspects, pass };
  };

  it("are suspected when a try passes and nothing else was answered meanwhile, for a while", () => {
    const { suspects, pass } = world();
    suspects.answered("a", "local");
    pass(TRY_MS);
    suspects.passed("a", "local", TRY_MS);
    expect([suspects.isSuspected("a", "local"), suspects.isSuspected("a", "global")]).toEqual([true, true]);
    expect(suspects.isSuspected("b", "global")).toBe(false);
    pass(LIMITS.cassandraSuspectMs);
    expect([suspects.isSuspected("a", "local"), suspects.isSuspected("a", "global")]).toEqual([false, false]);
  });

  it("are not suspected when they answered something else: then it is the majority that is slow", () => {
    const { suspects, pass } = world();
    pass(TRY_MS / 2);
    suspects.answered("a", "local");
    pass(TRY_MS / 2);
    suspects.passed("a", "global", TRY_MS);
    expect(suspects.isSuspected("a", "global")).toBe(false);
  });

  it("serve local reads still when it was a majority that did not answer", () => {
    const { suspects } = world();
    suspects.passed("a", "global", TRY_MS);
    expect(suspects.isSuspected("a", "global")).toBe(true);
    expect(suspects.isSuspected("a", "local")).toBe(false);
  });

  it("are suspected no longer once they answer", () => {
    const { suspects } = world();
    suspects.passed("a", "global", TRY_MS);
    suspects.answered("a", "global");
    expect(suspects.isSuspected("a", "global")).toBe(false);
  });
});
