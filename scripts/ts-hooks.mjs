// Lets Node run the TypeScript of this repository's tools, which are not part of the build.
import { readFileSync } from "node:fs";
import { createRequire, register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";

const require = createRequire(import.meta.url);

export async function load(url, context, next) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return next(url, context);
  const ts = require("typescript");
  const fileName = fileURLToPath(url);
  const compilerOptions = { target: "es2023", module: "esnext", verbatimModuleSyntax: true, inlineSourceMap: true };
  const { outputText } = ts.transpileModule(readFileSync(fileName, "utf8"), { fileName, compilerOptions });
  return { format: "module", source: outputText, shortCircuit: true };
}

if (isMainThread) register(import.meta.url);
