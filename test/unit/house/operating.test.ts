import { describe, expect, it } from "vitest";
import { SETTINGS } from "../../../src/node/config.ts";
import { productSources, readSources } from "./tree.ts";

const document = readSources(["docs/operating.md"])[0]?.text ?? "";

/** The first column of the table under a heading, without its backticks. */
function column(heading: string): readonly string[] {
  const section = document.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "").sort();
}

describe("docs/operating.md", () => {
  it("lists the settings that there are with their variables, and no others", () => {
    const section = document.split(/^## /m).find((part) => part.startsWith("Settings\n")) ?? "";
    const rows = [...section.matchAll(/^\| `([^`]+)` \| `([^`]+)` \|/gm)].map((match) => `${match[1]} ${match[2]}`);
    expect(rows.sort()).toEqual(SETTINGS.map(({ path, variable }) => `${path} ${variable}`).sort());
  });

  it("lists the counters that are counted, and no others", () => {
    const names = productSources().flatMap(({ text }) =>
      [...text.matchAll(/\.count\(\s*["`]([^"`]+)["`]/g)].map((match) => match[1] ?? ""),
    );
    // A part that is only known at run time stands as … in the document.
    const counted = names.map((name) => name.replace(/\$\{[^}]*\}/g, "…"));
    expect(counted.length).toBeGreaterThan(0);
    expect(column("Counters")).toEqual([...new Set(counted)].sort());
  });
});
