import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WATCHED } from "../../../sim/bounds.ts";
import { MUTANTS } from "../../../sim/mutants/index.ts";
import type { Patch } from "../../../sim/patch.ts";
import { SMALL } from "../../../sim/small.ts";

const textOf = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8");

/** As the simulator does it: one after the other. */
function apply(patches: readonly Patch[]): void {
  const texts = new Map<string, string>();
  for (const { file, find, replace } of patches) {
    const parts = (texts.get(file) ?? textOf(file)).split(find);
    expect(parts, `${file} holds once: ${find}`).toHaveLength(2);
    texts.set(file, parts.join(replace));
  }
}

describe("a seeded bug", () => {
  it.each(MUTANTS)("still fits the text that it breaks: $name", ({ patches }) => {
    apply([...SMALL, ...WATCHED, ...patches]);
  });

  it("has a name of its own", () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
