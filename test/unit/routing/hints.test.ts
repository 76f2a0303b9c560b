import { describe, expect, it } from "vitest";
import { Hints } from "../../../src/routing/hints.ts";

describe("Hints", () => {
  it("forgets the oldest beyond its limit [G9]", () => {
    const hints = new Hints(2);
    hints.set("a", "1");
    hints.set("b", "2");
    hints.set("a", "3");
    hints.set("c", "4");
    expect(hints.size).toBe(2);
    expect([hints.get("a"), hints.get("b"), hints.get("c")]).toEqual(["3", undefined, "4"]);
    hints.delete("a");
    expect(hints.get("a")).toBeUndefined();
  });
});
