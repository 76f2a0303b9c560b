// Lets plain Node load the TypeScript of this repository.
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { compiled } from "./compiled.mjs";

export async function load(url, context, next) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return next(url, context);
  const path = fileURLToPath(url);
  const source = readFileSync(compiled(path, readFileSync(path, "utf8")), "utf8");
  return { format: "module", source, shortCircuit: true };
}

if (isMainThread) register(import.meta.url);
