import ts from "typescript";
import type { SourceFile } from "./tree.ts";

/** A tag in a test's title, such as `[G3]` or `[G3, R6]`: the test fails when that guarantee or rule is broken. */
export interface Tagged {
  readonly tag: string;
  readonly path: string;
  readonly title: string;
}

const CALLS = ["it", "test"];

/** The tags of all tests. Titles are read from the parsed text, so a tag in a comment proves nothing. */
export function tagsOf(files: readonly SourceFile[]): readonly Tagged[] {
  return files.flatMap((file) => {
    const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.TS);
    const found: Tagged[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isCallExpression(node) && CALLS.includes(calledName(node.expression))) {
        const title = node.arguments[0]?.getText(source) ?? "";
        for (const tag of tagsIn(title)) found.push({ tag, path: file.path, title });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

function tagsIn(title: string): readonly string[] {
  return [...title.matchAll(/\[((?:[GR]\d+)(?:, ?[GR]\d+)*)\]/g)].flatMap((match) => (match[1] ?? "").split(/, ?/));
}

/** `it` of `it(…)`, `it.each(…)(…)` and `it.skipIf(…)(…)`. */
function calledName(callee: ts.Expression): string {
  if (ts.isIdentifier(callee)) return callee.text;
  if (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) return calledName(callee.expression);
  return "";
}

const NAMED_FILES = 3;

/**
 * Writes into the last column of every row `| G1 | … |` the test files with most tests of that tag, as links from docs/:
 * at most three, since `[G1]` in the tests finds the others.
 */
export function fillProofs(document: string, tagged: readonly Tagged[]): string {
  return document.replace(/^(\| ([GR]\d+) \|(?:.*\|)?)[^|\n]*\|$/gm, (_row, start: string, tag: string) => {
    const cell = filesOf(tag, tagged).map((path) => `[${path.replace(/^test\/(unit\/)?|\.test\.ts$/g, "")}](../${path})`);
    return `${start} ${cell.join(", ")} |`;
  });
}

function filesOf(tag: string, tagged: readonly Tagged[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const found of tagged) if (found.tag === tag) counts.set(found.path, (counts.get(found.path) ?? 0) + 1);
  const ranked = [...counts].sort(([a, some], [b, others]) => others - some || (a < b ? -1 : 1));
  return ranked.slice(0, NAMED_FILES).map(([path]) => path);
}
