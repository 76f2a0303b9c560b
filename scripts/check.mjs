// npm run check: everything that must hold before a change goes in. Stops at the first thing that does not.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureInstalled, filesUnder, root, run, say, since } from "./lib.mjs";

say("meridian: checking");
await ensureInstalled();

await step("format", "npx biome check --write", () => quietly("biome", ["check", "--linter-enabled=false"]));
await step("lint", "npx biome lint", () => quietly("biome", ["lint", "--error-on-warnings"]));
await step("types", "npx tsc -p tsconfig.json", () => quietly("tsc", ["-p", "tsconfig.json"]));
await step("proto lint", "npx buf lint", () => quietly("buf", ["lint"]));
await step("generated code", "npm run gen", isGeneratedCodeFresh);
await step("unused code", "npx knip", () => quietly("knip", ["--no-progress", "--treat-config-hints-as-errors"]));

say("meridian: tests");
const { code } = await run(process.execPath, [join("scripts", "test.mjs")]);
process.exitCode = code;

/** Runs one check, which answers "" or what is wrong. */
async function step(what, command, check) {
  const startedMs = Date.now();
  const wrong = await check();
  if (wrong === "") {
    say(`meridian: ${what} is right (${since(startedMs)})`);
    return;
  }
  say(`${wrong}\nmeridian: ${what} is wrong (${since(startedMs)}). See or mend it with: ${command}`);
  process.exit(1);
}

async function quietly(command, args) {
  const { code, output } = await run(command, args, { quiet: true });
  return code === 0 ? "" : output || `${command} ended with exit code ${code}`;
}

/** Generates into a folder of its own and compares: the tree stays as it is. */
async function isGeneratedCodeFresh() {
  const folder = mkdtempSync(join(tmpdir(), "meridian-gen-"));
  try {
    const failure = await quietly("buf", ["generate", "--output", folder]);
    if (failure !== "") return failure;
    const fresh = join(folder, "src", "gen");
    const present = join(root, "src", "gen");
    const names = new Set([...filesUnder(fresh), ...filesUnder(present)]);
    const stale = [...names].filter((name) => !isSame(join(fresh, name), join(present, name)));
    return stale.map((name) => `src/gen/${name} is not what proto says`).join("\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isSame(one, other) {
  return existsSync(one) && existsSync(other) && readFileSync(one).equals(readFileSync(other));
}
