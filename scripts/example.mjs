// npm run example: lists the examples. npm run example <name> [arguments]: runs one, after installing and building what is stale.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ensureBuilt, ensureInstalled, fail, root } from "./lib.mjs";

const folder = join(root, "examples");
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -".ts".length))
  .sort();

const [name, ...args] = process.argv.slice(2);
if (name === undefined) list();
else if (names.includes(name)) await run(name);
else fail(`meridian: there is no example ${JSON.stringify(name)}; there are ${names.join(", ")}`);

function list() {
  const width = Math.max(...names.map(({ length }) => length));
  for (const one of names) process.stdout.write(`${one.padEnd(width)}  ${summaryOf(one)}\n`);
}

/** The example's first line, which is a comment. */
function summaryOf(one) {
  const [line] = readFileSync(join(folder, `${one}.ts`), "utf8").split("\n", 1);
  return line.replace("// ", "");
}

/** Becomes the example: it runs in this very process, so that stdin, signals and the exit code are its own. */
async function run(one) {
  await ensureInstalled();
  await ensureBuilt();
  const program = await transpile(one);
  process.setSourceMapsEnabled(true);
  process.argv.splice(1, process.argv.length - 1, program, ...args);
  await import(pathToFileURL(program).href);
}

/** Node 20 cannot run TypeScript. The result lies inside the package, so that "meridian" in it means this package. */
async function transpile(one) {
  const source = join(folder, `${one}.ts`);
  const place = join(root, ".meridian", "examples");
  const program = join(place, `${one}.js`);
  if (isNewer(program, source) && isNewer(program, fileURLToPath(import.meta.url))) return program;
  const { default: ts } = await import("typescript");
  const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, inlineSourceMap: true };
  const { outputText } = ts.transpileModule(readFileSync(source, "utf8"), { compilerOptions, fileName: source });
  mkdirSync(place, { recursive: true });
  // Two terminals may start the same example at once: neither may find half a file.
  const fresh = `${program}.${process.pid}`;
  writeFileSync(fresh, outputText);
  renameSync(fresh, program);
  return program;
}

function isNewer(one, other) {
  return existsSync(one) && statSync(one).mtimeMs > statSync(other).mtimeMs;
}
