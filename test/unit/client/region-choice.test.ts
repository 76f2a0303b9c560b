import { beforeEach, describe, expect, it } from "vitest";
import { RegionChoice } from "../../../src/client/region-choice.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";

describe("RegionChoice", () => {
  let choice: RegionChoice;
  let nowMs: number;

  beforeEach(() => {
    choice = new RegionChoice(["a:1", "b:1", "c:1"]);
    nowMs = 1_000_000;
  });

  /** Probes of one endpoint that took this long. */
  const probed = (endpoint: string, ...rttsMs: readonly number[]) => {
    for (const rttMs of rttsMs) choice.measured(endpoint, { rttMs, serving: true });
  };
  /** As many as it takes to judge it. */
  const known = (endpoint: string, rttMs: number) => probed(endpoint, ...Array(LIMITS.probesAtStart).fill(rttMs));
  const notServing = (endpoint: string) => choice.measured(endpoint, { rttMs: 1, serving: false });

  it.each<[string, () => void, string]>([
    ["the first, if nothing is known", () => {}, "a:1"],
    ["one that serves, before those that were not asked", () => known("c:1", 900), "c:1"],
    ["the nearest of those that serve", () => [known("a:1", 90), known("b:1", 30), known("c:1", 60)], "b:1"],
    ["of equally near ones that which is named first", () => [known("c:1", 30), known("b:1", 30)], "b:1"],
    ["one that was not asked, before one that does not serve", () => [notServing("a:1"), choice.outOfReach("b:1")], "c:1"],
    ["one that does not serve, before those out of reach", () => [notServing("b:1"), outOfReach("a:1", "c:1")], "b:1"],
    ["the first, if all are out of reach", () => outOfReach("a:1", "b:1", "c:1"), "a:1"],
  ])("takes %s", (_which, given, taken) => {
    given();
    expect(choice.take(nowMs)).toBe(taken);
  });

  const outOfReach = (...endpoints: readonly string[]) => {
    for (const endpoint of endpoints) choice.outOfReach(endpoint);
  };

  it("takes the next nearest when the session breaks, and in the end each in its turn", () => {
    known("a:1", 10);
    known("b:1", 200);
    known("c:1", 100);
    const taken = Array.from({ length: 6 }, () => {
      nowMs += 1;
      const endpoint = choice.take(nowMs);
      choice.failed(nowMs);
      return endpoint;
    });
    expect(taken).toEqual(["a:1", "c:1", "b:1", "a:1", "c:1", "b:1"]);
  });

  it("avoids where a session broke for a while, but prefers it to what is out of reach", () => {
    known("a:1", 10);
    known("b:1", 200);
    choice.outOfReach("c:1");
    expect(choice.take(nowMs)).toBe("a:1");
    choice.failed(nowMs);
    expect(choice.endpoint(nowMs + LIMITS.avoidMs - 1)).toBe("b:1");
    expect(choice.endpoint(nowMs + LIMITS.avoidMs)).toBe("a:1");
    choice.outOfReach("b:1");
    expect(choice.endpoint(nowMs + 1)).toBe("a:1");
  });

  it("trusts only new answers once it is in doubt", () => {
    known("a:1", 10);
    known("b:1", 20);
    known("c:1", 300);
    choice.take(nowMs);
    choice.doubt();
    probed("c:1", 300);
    choice.failed(nowMs);
    expect(choice.take(nowMs)).toBe("c:1");
  });

  it("counts the fastest of the first probes, then moves a quarter of the way with each", () => {
    probed("a:1", 90, 30, 60);
    expect(choice.rttMs("a:1")).toBe(30);
    probed("a:1", 70);
    expect(choice.rttMs("a:1")).toBe(40);
    choice.outOfReach("a:1");
    expect(choice.rttMs("a:1")).toBeUndefined();
    probed("a:1", 80);
    expect(choice.rttMs("a:1")).toBe(80);
  });

  describe("with a session that works", () => {
    /** The session is at `a:1`, whose round trip is this; then `b:1` is known, and probed as often again. */
    const better = (presentMs: number, otherMs: number, probes: number) => {
      known("a:1", presentMs);
      choice.take(nowMs);
      known("b:1", otherMs);
      probed("b:1", ...Array(probes).fill(otherMs));
      return choice.better(nowMs);
    };
    const enough = LIMITS.nearerProbes - 1;

    it.each([
      ["is clearly nearer", 100, 80, enough, "b:1"],
      ["was so in too few probes", 100, 80, enough - 1, undefined],
      ["is nearer by a large share of little", 20, 1, enough, undefined],
      ["is nearer by a small share of much", 200, 175, enough, undefined],
      ["is as near", 50, 50, enough, undefined],
      ["is farther", 50, 90, enough, undefined],
    ])("moves or stays when another %s: %i ms against %i ms", (_what, presentMs, otherMs, probes, where) => {
      expect(better(presentMs, otherMs, probes)).toBe(where);
    });

    it("begins to count anew after one probe that was slow, lost, or answered without serving", () => {
      const spoils = [() => probed("b:1", 2_000), () => choice.outOfReach("b:1"), () => notServing("b:1")];
      for (const spoil of spoils) {
        choice = new RegionChoice(["a:1", "b:1"]);
        better(100, 10, enough - 1);
        spoil();
        probed("b:1", 10);
        expect(choice.better(nowMs)).toBeUndefined();
      }
    });

    it("stays away from where a session broke a short while ago", () => {
      known("b:1", 10);
      choice.take(nowMs);
      choice.failed(nowMs);
      known("a:1", 100);
      choice.take(nowMs);
      probed("b:1", 10, 10, 10);
      expect(choice.better(nowMs + LIMITS.avoidMs - 1)).toBeUndefined();
      expect(choice.better(nowMs + LIMITS.avoidMs)).toBe("b:1");
    });

    it("counts by the present node only", () => {
      known("b:1", 10);
      choice.take(nowMs);
      choice.failed(nowMs);
      known("a:1", 100);
      choice.take(nowMs);
      probed("b:1", 10, 10, 10);
      choice.failed(nowMs);
      known("c:1", 15);
      expect(choice.take(nowMs)).toBe("c:1");
      expect(choice.better(nowMs + LIMITS.avoidMs)).toBeUndefined();
    });

    it("leaves a node that does not serve for one that does, however far, and for no other", () => {
      known("a:1", 10);
      choice.take(nowMs);
      notServing("a:1");
      notServing("b:1");
      expect(choice.better(nowMs)).toBeUndefined();
      known("c:1", 300);
      expect(choice.better(nowMs)).toBe("c:1");
    });

    it("does not measure by a present node that has never answered a probe", () => {
      choice.take(nowMs);
      known("b:1", 10);
      probed("b:1", 10, 10, 10);
      expect(choice.better(nowMs)).toBeUndefined();
    });
  });
});
