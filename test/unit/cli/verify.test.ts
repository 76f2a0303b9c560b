import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CliRun, EXIT } from "./harness.ts";

const record = (name: string) => join(import.meta.dirname, "../../fixtures/records", name);
const lines = (text: string) => text.split("\n").slice(0, -1);

describe("meridian verify", () => {
  it.each([
    ["holds.jsonl", EXIT.done],
    ["violated.jsonl", EXIT.violation],
    ["cut-off.jsonl", EXIT.usage],
    ["empty.jsonl", EXIT.usage],
  ])("ends as the record is: %s", async (name, code) => {
    expect((await new CliRun().runOnDisk("verify", record(name))).code).toBe(code);
  });

  it("names every guarantee with what it was checked over, and every line that breaks one", async () => {
    const { stdout } = await new CliRun().runOnDisk("verify", record("violated.jsonl"));
    for (const guarantee of ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"])
      expect(stdout).toMatch(new RegExp(`^${guarantee} `, "m"));
    expect(stdout).toMatch(/^ {2}lines? \d+/m);
    expect(lines(stdout).at(-1)).toMatch(/^violated: G/);
  });

  it("tells machines the same, an object a line", async () => {
    const { stdout } = await new CliRun().runOnDisk("verify", record("holds.jsonl"), "--json");
    const facts = lines(stdout).map((line) => JSON.parse(line) as { report: string });
    expect(facts[0]).toMatchObject({ report: "record" });
    expect(facts.filter(({ report }) => report === "check")).toHaveLength(8);
    expect(facts.at(-1)).toMatchObject({ report: "verdict", status: "holds", exitCode: 0 });
  });

  it("reads the standard input for -, wherever its pieces are cut", async () => {
    const bytes = readFileSync(record("holds.jsonl"));
    const pieces = [bytes.subarray(0, 1_001), bytes.subarray(1_001, 1_002), bytes.subarray(1_002)];
    expect(await new CliRun({ stdin: pieces }).run("verify", "-")).toMatchObject({ code: EXIT.done });
  });

  it("says which file cannot be read", async () => {
    const { code, stderr } = await new CliRun().runOnDisk("verify", "nowhere.jsonl");
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("nowhere.jsonl cannot be read");
  });

  it("takes no text with a line of any length [G9]", async () => {
    const stdin = Array.from({ length: 17 }, () => Buffer.alloc(1024 * 1024, "x"));
    const { code, stderr } = await new CliRun({ stdin }).run("verify", "-");
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("this is no text");
  });
});
