/**
 * Checks the relative links of Markdown files. A link to code names what it means after the `#`, and its text may say it
 * in full: [`Leader.submit`](../src/sequencer/leader.ts#submit). Both must be declared and exported by that file, so a
 * document cannot go on speaking of what was renamed.
 */
import { posix } from "node:path";
import ts from "typescript";
import type { SourceFile } from "./tree.ts";

interface Link {
  readonly text: string;
  readonly target: string;
}

/** `exists` and `read` answer for paths from the repository's root; folders exist as well. */
export interface Tree {
  exists(path: string): boolean;
  read(path: string): string;
}

/** Answers `file: what is wrong` for every relative link that leads nowhere. */
export function checkLinks(documents: readonly SourceFile[], tree: Tree): readonly string[] {
  return documents.flatMap((document) =>
    linksOf(document.text).flatMap((link) => {
      const wrong = checkLink(document, link, tree);
      return wrong === undefined ? [] : [`${document.path}: ${wrong}`];
    }),
  );
}

function checkLink(document: SourceFile, link: Link, tree: Tree): string | undefined {
  const [file = "", fragment] = link.target.split("#", 2);
  const path = file === "" ? document.path : posix.normalize(posix.join(posix.dirname(document.path), file));
  if (!tree.exists(path)) return `${link.target} does not exist`;
  if (fragment === undefined) return undefined;
  const names = namesIn({ path, text: file === "" ? document.text : tree.read(path) });
  if (!names.has(fragment)) return `${path} has no ${fragment}`;
  const symbol = /^`([\w.]+)`$/.exec(link.text)?.[1];
  return symbol === undefined || path.endsWith(".md") || names.has(symbol) ? undefined : `${path} has no ${symbol}`;
}

/** The relative links outside of code. */
function linksOf(markdown: string): readonly Link[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "");
  return [...prose.matchAll(/\[((?:`[^`]*`|[^\]`])*)\]\(([^)\s]+)\)/g)]
    .map((match) => ({ text: match[1] ?? "", target: match[2] ?? "" }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));
}

/** What a `#` may name in a file. */
function namesIn(file: SourceFile): ReadonlySet<string> {
  if (file.path.endsWith(".md")) return headings(file.text);
  if (file.path.endsWith(".proto")) {
    return new Set([...file.text.matchAll(/\b(?:message|enum|service|rpc)\s+(\w+)/g)].map((match) => match[1] ?? ""));
  }
  return exportedNames(file);
}

function headings(markdown: string): ReadonlySet<string> {
  return new Set(
    [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) =>
      (match[1] ?? "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- _]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** Exported names, and of each its members: `Leader`, `submit`, `Leader.submit`. */
function exportedNames(file: SourceFile): ReadonlySet<string> {
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ESNext, true);
  const names = new Set<string>();
  for (const statement of source.statements) {
    const isExported =
      ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword);
    if (isExported !== true) continue;
    const declarations = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement];
    for (const declaration of declarations) addDeclaration(names, declaration);
  }
  return names;
}

function addDeclaration(names: Set<string>, declaration: ts.Node): void {
  const name = (declaration as ts.DeclarationStatement).name?.getText();
  if (name === undefined) return;
  names.add(name);
  for (const member of membersOf(declaration)) {
    const memberName = member.name?.getText();
    if (memberName === undefined) continue;
    names.add(memberName);
    names.add(`${name}.${memberName}`);
  }
}

function membersOf(declaration: ts.Node): readonly { readonly name?: ts.Node }[] {
  if (ts.isClassDeclaration(declaration) || ts.isInterfaceDeclaration(declaration)) return declaration.members;
  if (!ts.isVariableDeclaration(declaration) || declaration.initializer === undefined) return [];
  let value = declaration.initializer;
  while (ts.isAsExpression(value) || ts.isSatisfiesExpression(value)) value = value.expression;
  return ts.isObjectLiteralExpression(value) ? value.properties : [];
}
