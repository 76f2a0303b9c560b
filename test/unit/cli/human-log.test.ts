import { describe, expect, it } from "vitest";
import { humanLog } from "../../../src/cli/human-log.ts";

describe("a log line on a terminal", () => {
  it("says when, how bad, what, where, and the rest", () => {
    const fields = { time: "2026-11-24T18:00:01.234Z", level: "warn", event: "lease.ended", region: "eu-west", lease: "1-2" };
    expect(humanLog(`${JSON.stringify(fields)}\n`)).toBe("18:00:01 warn: lease.ended in eu-west (lease: 1-2)\n");
  });

  it("stays as it is if it is no JSON", () => {
    expect(humanLog("Write error\n")).toBe("Write error\n");
  });
});
