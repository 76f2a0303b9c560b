/**
 * Which code may know of which. The arrows of ARCHITECTURE.md as data, and a check of every import against them:
 *
 *   cli → node → the domain's folders → ports → kernel;   adapters → ports;   everybody → gen
 *
 * The domain is what the simulator runs on virtual time. One import of an adapter, of a vendor's library or of `node:` in
 * there would bring in a clock, a socket or a thread that no test controls. So the check knows folders and no exceptions.
 */
import { posix } from "node:path";
import ts from "typescript";
import type { SourceFile } from "./tree.ts";

/**
 * The folders of the domain in the order in which they build on each other: each may import those before it, never one
 * behind it, so there is no cycle between folders.
 */
const DOMAIN = ["log", "time", "membership", "ids", "routing", "feed", "sequencer", "gateway"] as const;

/** Sides of the domain that the servers' chain does not build on: the SDK and the checks of recorded runs. */
const BESIDE: Readonly<Record<string, readonly string[]>> = { client: ["log"], verify: ["client", "log"] };

const BELOW = ["ports", "kernel", "gen"];

/** Of each folder under src/ the other folders that it may import. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  gen: [],
  kernel: ["gen"],
  ports: ["kernel", "gen"],
  ...Object.fromEntries(DOMAIN.map((folder, at) => [folder, [...DOMAIN.slice(0, at), ...BELOW]])),
  ...Object.fromEntries(Object.entries(BESIDE).map(([folder, others]) => [folder, [...others, ...BELOW]])),
  adapters: BELOW,
  node: [...DOMAIN, ...BELOW],
  cli: ["node", "index.ts", ...DOMAIN, ...Object.keys(BESIDE), ...BELOW],
  "index.ts": [...Object.keys(BESIDE), "log", ...BELOW],
};

/** The places that join the code to the outside world: the SDK's, and those of a node by itself, of regions in one process, of a cluster. */
const COMPOSITION_ROOTS = [
  "src/index.ts",
  "src/cli/serve.ts",
  "src/cli/serve-regions.ts",
  "src/cli/serve-cluster.ts",
  "src/cli/serve-cassandra.ts",
];

/** Folders that must run on virtual time, under the simulator. */
export const PURE: readonly string[] = [...DOMAIN, ...Object.keys(BESIDE), "ports", "kernel"];

const PURE_VENDOR = "@bufbuild/protobuf";

/** Answers `file: what is wrong` for every import that breaks a rule. */
export function checkLayers(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const folder = folderOf(file.path);
    if (ALLOWED[folder] === undefined) return [`${file.path}: the layers do not name the folder ${folder}`];
    return importsOf(file).flatMap((specifier) => {
      const wrong = specifier.startsWith(".")
        ? checkRelative(file.path, folder, posix.join(posix.dirname(file.path), specifier))
        : checkPackage(file.path, folder, specifier);
      return wrong === undefined ? [] : [`${file.path}: ${wrong}`];
    });
  });
}

function checkRelative(path: string, folder: string, target: string): string | undefined {
  if (!target.startsWith("src/")) return `imports ${target}, which is outside of src`;
  const other = folderOf(target);
  if (other === folder) return undefined;
  if (other === "adapters") {
    return COMPOSITION_ROOTS.includes(path) ? undefined : "imports an adapter; only a composition root may";
  }
  return ALLOWED[folder]?.includes(other) === true ? undefined : `${folder} must not import ${other}`;
}

function checkPackage(path: string, folder: string, specifier: string): string | undefined {
  if (path === "src/kernel/hash.ts" && specifier === "node:crypto") return undefined;
  const isPure = PURE.includes(folder) || folder === "gen";
  if (!isPure || specifier === PURE_VENDOR || specifier.startsWith(`${PURE_VENDOR}/`)) return undefined;
  return `imports ${specifier}; ${folder} knows no package but ${PURE_VENDOR}`;
}

/** Every module that a file names: static and dynamic imports, re-exports and `import("…")` types. */
function importsOf(file: SourceFile): readonly string[] {
  return ts.preProcessFile(file.text, true, true).importedFiles.map((imported) => imported.fileName);
}

/** `src/log/batch.ts` lies in `log`; a file that lies in src itself stands for itself. */
function folderOf(path: string): string {
  return path.split("/")[1] ?? "";
}
