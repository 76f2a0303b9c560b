import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { patched } from "../../../scripts/patched.mjs";
import { WATCHED } from "../../../sim/bounds.ts";
import { MUTANTS } from "../../../sim/mutants/index.ts";
import { SMALL } from "../../../sim/small.ts";

const textOf = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8");

describe("a seeded bug", () => {
  it.each(MUTANTS)("still fits the text that it breaks: $name", ({ patches }) => {
    const all = [...SMALL, ...WATCHED, ...patches];
    for (const file of new Set(all.map((patch) => patch.file))) {
      expect(patched(file, textOf(file), all)).not.toBe(textOf(file));
    }
  });

  it("has a name of its own", () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
