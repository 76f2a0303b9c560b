import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));

export interface SourceFile {
  /** From the repository's root, with `/` between its parts. */
  readonly path: string;
  readonly text: string;
}

/** The files that git keeps or would keep, as they are on disk now. */
export function treeFiles(): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" });
  return listed.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));
}

export function readSources(paths: readonly string[]): readonly SourceFile[] {
  return paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

/** The product's own TypeScript, generated code included. */
export function productSources(): readonly SourceFile[] {
  return readSources(treeFiles().filter((path) => path.startsWith("src/") && path.endsWith(".ts")));
}

export interface Fixture {
  readonly name: string;
  /** What a check must report, in order; empty only for the tree that keeps the rules, good.txt. */
  readonly reports: readonly string[];
  readonly files: readonly SourceFile[];
}

/**
 * The small trees under test/fixtures/house. Each is one text: lines `reports: …`, then the files, each after a line
 * `-- path --`. So a tree that breaks the rules lies in the repository without being part of it.
 */
export function fixtures(kind: string): readonly Fixture[] {
  const folder = join(root, "test", "fixtures", "house", kind);
  return readdirSync(folder)
    .sort()
    .map((name) => parseFixture(name, readFileSync(join(folder, name), "utf8")));
}

function parseFixture(name: string, text: string): Fixture {
  const [head = "", ...parts] = text.split(/^-- (.+) --\n/m);
  const files: SourceFile[] = [];
  for (let at = 0; at < parts.length; at += 2) files.push({ path: parts[at] ?? "", text: parts[at + 1] ?? "" });
  const reports = [...head.matchAll(/^reports: (.+)$/gm)].map((match) => match[1] ?? "");
  if ((reports.length === 0) !== (name === "good.txt")) throw new Error(`${name}: only good.txt must have nothing to report`);
  return { name, reports, files };
}
