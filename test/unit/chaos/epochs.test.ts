import { describe, expect, it } from "vitest";
import { mergedEpochs } from "../../../chaos/epochs.ts";

describe("the epochs that two faults at once have changed", () => {
  it("are one change a conversation, from the lowest to the highest, as numbers and not as texts", () => {
    const first = { conversation: "talk", before: "3171", after: "10223" };
    const second = { conversation: "talk", before: "3170", after: "3249" };
    const other = { conversation: "standup", before: "5", after: "6" };
    expect(mergedEpochs([first, second, other])).toEqual([{ conversation: "talk", before: "3170", after: "10223" }, other]);
  });
});
