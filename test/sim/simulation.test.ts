import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { MUTANTS } from "../../sim/mutants/index.ts";
import { SCENARIOS } from "../../sim/scenarios/index.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const kept = readdirSync(new URL("regressions", import.meta.url)).map((file) => join("test", "sim", "regressions", file));

/** Fresh histories: as many as fit into the box, but never fewer than the floor. */
const BOX_MINUTES = 2;
const FLOOR_SEEDS = 300;
const HANG_MS = 900_000;

/** The simulator loads the code with its own limits, so it runs in a process of its own. */
function sim(...args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts", "sim.mjs"), ...args], {
    cwd: root,
    encoding: "utf8",
    timeout: HANG_MS,
    maxBuffer: 2 ** 28,
  });
  return { status, output: stdout + stderr };
}

describe("the named scenarios", () => {
  let output = "";
  beforeAll(() => {
    output = sim("--scenarios").output;
  }, HANG_MS);

  it.each(SCENARIOS)("hold: $name [G1] [G2] [G3]", ({ name }) => {
    expect(output.split("\n")).toContain(`holds ${name}`);
  });

  it("name a seeded bug each, and only such as there are", () => {
    expect(SCENARIOS.filter(({ finds }) => finds.length === 0).map(({ name }) => name)).toEqual([]);
    const names = MUTANTS.map(({ name }) => name);
    expect(SCENARIOS.flatMap(({ finds }) => finds).filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe("histories that once broke something", () => {
  it.each(kept)("hold now: %s", (file) => {
    const { status, output } = sim("--replay", file);
    expect(status, output).toBe(0);
  });
});

describe("fresh histories", () => {
  it("hold, and take the same course a second time [G1] [G2] [G3] [G4] [G5] [G6] [G7] [G8] [G9]", { timeout: HANG_MS }, () => {
    const { status, output } = sim(
      "--seeds",
      "1000000",
      "--minutes",
      String(BOX_MINUTES),
      "--floor",
      String(FLOOR_SEEDS),
      "--jobs",
      "2",
    );
    console.log(output.trim().split("\n").at(-1));
    expect(status, output).toBe(0);
  });
});
