/**
 * Finds the time, chance and surroundings that code takes out of the air instead of a port. Under the simulator such a
 * line would make two runs of one seed differ, and nobody would know why.
 *
 * The text is parsed, not searched: words in comments and strings, members that merely share a name with a global
 * (`lease.process`, `{ performance: 1 }`) and local variables are no findings. The compiler tells a local from a global: with
 * no library loaded, it finds a declaration for the former only. A local cannot be the global in disguise either, for what
 * it gets its value from would be a finding.
 */
import ts from "typescript";
import type { SourceFile } from "./tree.ts";

/** Globals that the pure layers do not name at all. */
const BANNED_GLOBALS = new Set([
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
  "crypto",
  "process",
  "require",
  "globalThis",
  "global",
]);

/** Globals with some members that take from the surroundings, beside many that are plain functions. */
const BANNED_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  Date: ["now"],
  Math: ["random"],
  AbortSignal: ["timeout"],
};

/** What may be imported of `node:crypto`: only what gives the same answer for the same input. */
const PURE_CRYPTO = ["createHash", "hash"];

/** Answers `file:line: what is wrong` for every finding. */
export function checkAmbient(files: readonly SourceFile[]): readonly string[] {
  const program = programOf(files);
  const checker = program.getTypeChecker();
  return files.flatMap(({ path }) => {
    const source = program.getSourceFile(path);
    if (source === undefined) throw new Error(`${path} could not be parsed`);
    const found: string[] = [];
    const visit = (node: ts.Node): void => {
      const wrong = judge(node, checker);
      if (wrong !== undefined) {
        const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
        found.push(`${path}:${line}: ${wrong}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

/** The files alone: no library, no imports. */
function programOf(files: readonly SourceFile[]): ts.Program {
  const options: ts.CompilerOptions = {
    noLib: true,
    noResolve: true,
    target: ts.ScriptTarget.ESNext,
    moduleDetection: ts.ModuleDetectionKind.Force,
  };
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const host: ts.CompilerHost = {
    getSourceFile: (path, version) => {
      const text = texts.get(path);
      return text === undefined ? undefined : ts.createSourceFile(path, text, version, true);
    },
    fileExists: (path) => texts.has(path),
    readFile: (path) => texts.get(path),
    getDefaultLibFileName: () => "",
    getCurrentDirectory: () => "",
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    writeFile: () => {
      throw new Error("nothing is compiled here");
    },
  };
  return ts.createProgram([...texts.keys()], options, host);
}

function judge(node: ts.Node, checker: ts.TypeChecker): string | undefined {
  if (ts.isImportDeclaration(node)) return judgeImport(node);
  if (!ts.isIdentifier(node)) return undefined;
  const isBanned = BANNED_GLOBALS.has(node.text);
  if (!isBanned && BANNED_MEMBERS[node.text] === undefined) return undefined;
  if (isNameOfSomethingElse(node) || isDeclared(node, checker)) return undefined;
  return isBanned ? `uses ${node.text}` : judgeUse(node);
}

function isDeclared(node: ts.Identifier, checker: ts.TypeChecker): boolean {
  const symbol = ts.isShorthandPropertyAssignment(node.parent)
    ? checker.getShorthandAssignmentValueSymbol(node.parent)
    : checker.getSymbolAtLocation(node);
  return (symbol?.declarations?.length ?? 0) > 0;
}

/** `Date` and `Math` are fine where one can see which member is used, or that the time is given. */
function judgeUse(name: ts.Identifier): string | undefined {
  const use = name.parent;
  if (ts.isTypeNode(use) || ts.isExpressionWithTypeArguments(use)) return undefined;
  if (ts.isPropertyAccessExpression(use)) {
    return BANNED_MEMBERS[name.text]?.includes(use.name.text) === true ? `uses ${name.text}.${use.name.text}` : undefined;
  }
  if (ts.isNewExpression(use) && use.expression === name) {
    return (use.arguments?.length ?? 0) > 0 ? undefined : `uses new ${name.text}() without an argument`;
  }
  if (ts.isBinaryExpression(use) && use.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword) return undefined;
  return `uses ${name.text} in a way that hides what is taken from it`;
}

function judgeImport(node: ts.ImportDeclaration): string | undefined {
  if (!ts.isStringLiteral(node.moduleSpecifier) || node.moduleSpecifier.text !== "node:crypto") return undefined;
  const bindings = node.importClause?.namedBindings;
  if (bindings === undefined || !ts.isNamedImports(bindings)) return "imports node:crypto as a whole";
  const impure = bindings.elements
    .map((element) => (element.propertyName ?? element.name).text)
    .filter((name) => !PURE_CRYPTO.includes(name));
  return impure.length === 0 ? undefined : `imports ${impure.join(", ")} of node:crypto`;
}

/** Whether the identifier only names a member of something: `x.name`, `{ name: … }`, `name(): …`, `type.name`. */
function isNameOfSomethingElse(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return parent.propertyName === node;
  const isMember =
    ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent) || ts.isEnumMember(parent);
  return isMember && parent.name === node;
}
