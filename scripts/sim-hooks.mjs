// Lets plain Node load the TypeScript of src and sim. While a file is loaded, patches are applied to its text: the small
// limits that make rare paths common (sim/small.ts), the lengths that the witness looks at (sim/bounds.ts), and the seeded bug
// that --mutant names (sim/mutants). So nothing of these stands in the code itself. A patch whose text is not found exactly
// once ends the process: it tests nothing any more.
import { readdirSync, readFileSync } from "node:fs";
import { register } from "node:module";
import { join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import { compiled } from "./compiled.mjs";
import { patched } from "./patched.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

let patches = [];

export function initialize(data) {
  patches = data.patches;
}

export async function load(url, context, next) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return next(url, context);
  const path = fileURLToPath(url);
  const name = relative(root, path).split(sep).join("/");
  const source = readFileSync(compiled(path, patched(name, readFileSync(path, "utf8"), patches)), "utf8");
  return { format: "module", source, shortCircuit: true };
}

/** What stands in a file of plain data, which imports nothing. */
async function dataOf(name) {
  const path = join(root, "sim", name);
  return import(pathToFileURL(compiled(path, readFileSync(path, "utf8"))).href);
}

if (isMainThread) {
  const { SMALL } = await dataOf("small.ts");
  const { WATCHED } = await dataOf("bounds.ts");
  // The index imports the others, so it is no plain data.
  const files = readdirSync(join(root, "sim", "mutants")).filter((file) => file !== "index.ts");
  const groups = await Promise.all(files.map((file) => dataOf(join("mutants", file))));
  const mutants = groups.flatMap((group) => Object.values(group)).flat();
  const at = process.argv.indexOf("--mutant");
  const wanted = at < 0 ? undefined : process.argv[at + 1];
  const mutant = wanted === undefined ? undefined : mutants.find(({ name }) => name === wanted);
  if (wanted !== undefined && mutant === undefined)
    throw new Error(`there is no mutant ${wanted}; npm run sim:mutants lists them`);
  register(import.meta.url, { data: { patches: [...SMALL, ...WATCHED, ...(mutant?.patches ?? [])] } });
}
