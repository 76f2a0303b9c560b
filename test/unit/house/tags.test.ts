import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fillProofs, tagsOf } from "./tags.ts";
import { readSources, root, treeFiles } from "./tree.ts";

const numbered = (letter: string, last: number) => Array.from({ length: last }, (_, at) => `${letter}${at + 1}`);
const GUARANTEES = numbered("G", 9);
const RULES = numbered("R", 12);

const tests = readSources(treeFiles().filter((path) => path.startsWith("test/") && path.endsWith(".test.ts")));
const document = readSources(["docs/guarantees.md"])[0]?.text ?? "";
const tagged = tagsOf(tests.filter((file) => !file.path.startsWith("test/unit/house/")));

describe("tags in titles", () => {
  it.each([...GUARANTEES, ...RULES])("%s is proved by at least one test", (tag) => {
    expect(tagged.map((found) => found.tag)).toContain(tag);
  });

  it("name guarantees and rules that exist", () => {
    expect(tagged.filter(({ tag }) => ![...GUARANTEES, ...RULES].includes(tag))).toEqual([]);
  });

  it.each([...GUARANTEES, ...RULES])("%s has a row in docs/guarantees.md", (tag) => {
    expect(document.split("\n").filter((line) => line.startsWith(`| ${tag} |`))).toHaveLength(1);
  });

  it("are what docs/guarantees.md says of them; with `npx vitest run tags -u` it does", async () => {
    await expect(fillProofs(document, tagged)).toMatchFileSnapshot(join(root, "docs", "guarantees.md"));
  });

  it("become links to the files that have most of them", () => {
    const at = (path: string) => ({ tag: "R1", path, title: "" });
    const files = [
      "test/unit/b.test.ts",
      "test/unit/a.test.ts",
      "test/e2e/c.test.ts",
      "test/e2e/c.test.ts",
      "test/e2e/d.test.ts",
    ];
    const filled = fillProofs("| R1 | old |\n| R2 | a | b |\n| x |", files.map(at));
    expect(filled).toBe(
      "| R1 | [e2e/c](../test/e2e/c.test.ts), [e2e/d](../test/e2e/d.test.ts), [a](../test/unit/a.test.ts) |\n| R2 | a |  |\n| x |",
    );
  });

  it("are found in titles only, also in lists and after each", () => {
    const text = [
      'it("keeps one order [G1]", () => {});',
      'it.each([1])("is written again [G2, R7]", () => {});',
      "// it proves [G3]",
      'describe("a group [G4]", () => {});',
      "it(`is numbered [R$" + "{1}] but this is [R5]`, () => {});",
    ].join("\n");
    expect(tagsOf([{ path: "a.test.ts", text }]).map(({ tag }) => tag)).toEqual(["G1", "G2", "R7", "R5"]);
  });
});
