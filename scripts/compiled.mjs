// TypeScript for plain Node, which cannot run it: each file is compiled alone, once for each text that it has.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const cache = fileURLToPath(new URL("../.sim/compiled", import.meta.url));
const require = createRequire(import.meta.url);
const { version } = require("typescript/package.json");

/** Compiled text by the hash of the source: a second start compiles nothing. Answers the file's path. */
export function compiled(path, text) {
  const name = createHash("sha256").update(version).update("\0").update(path).update("\0").update(text).digest("hex");
  const target = join(cache, `${name.slice(0, 32)}.mjs`);
  if (existsSync(target)) return target;
  // Loaded only when there is something to compile: it takes longer than everything else.
  const ts = require("typescript");
  const { outputText } = ts.transpileModule(text, {
    fileName: path,
    compilerOptions: { target: "es2023", module: "esnext", verbatimModuleSyntax: true, inlineSourceMap: true },
  });
  mkdirSync(cache, { recursive: true });
  // Written aside and renamed: another process may read it at this moment.
  writeFileSync(`${target}.${process.pid}`, outputText);
  renameSync(`${target}.${process.pid}`, target);
  return target;
}
