import { describe, expect, it } from "vitest";
import { History } from "./history.ts";

const STEPS = 900;

describe("random histories", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    "give a conversation one leader at a time and growing epochs: seed %i [R4, R8]",
    async (seed) => {
      const tally = await new History(seed).run(STEPS);
      expect(tally.tenures).toBeGreaterThan(20);
      expect(tally.takeovers).toBeGreaterThan(1);
    },
  );
});
