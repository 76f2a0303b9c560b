import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Fixture, fixtures, root } from "./tree.ts";

interface Diagnostic {
  readonly category: string;
  readonly location: { readonly path: string; readonly start: { readonly line: number } };
}

describe("the linter", () => {
  it.each(fixtures("lint"))("finds what it should in the fixture $name, with the project's own rules", (fixture) => {
    const rule = fixture.name.replace(".txt", "");
    const found = lint(fixture).filter((diagnostic) => diagnostic.category.endsWith(`/${rule}`));
    expect(found.map(({ location }) => `${location.path}:${location.start.line}`)).toEqual(fixture.reports);
  });
});

/** Lints the fixture's files in a folder of their own: biome follows imports, and the repository ignores its fixtures. */
function lint(fixture: Fixture): readonly Diagnostic[] {
  const folder = mkdtempSync(join(tmpdir(), "meridian-lint-"));
  try {
    const { vcs: _, ...config } = JSON.parse(readFileSync(join(root, "biome.json"), "utf8"));
    const inputs = [...fixture.files, { path: "biome.json", text: JSON.stringify(config) }];
    for (const { path, text } of inputs) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return JSON.parse(runBiome(folder)).diagnostics;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Biome ends with 1 when it finds something; what it found stands in its output all the same. */
function runBiome(folder: string): string {
  const biome = join(root, "node_modules", "@biomejs", "biome", "bin", "biome");
  try {
    return execFileSync(process.execPath, [biome, "lint", "--reporter=json", "--max-diagnostics=none", "."], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    const { stdout } = error as { readonly stdout?: string };
    if (stdout === undefined || stdout === "") throw error;
    return stdout;
  }
}
