// npm run sim: runs the simulator (sim/main.ts) with its code compiled, and patched, while it is loaded.
import { join } from "node:path";
import { ensureInstalled, root, run } from "./lib.mjs";

await ensureInstalled();
const hooks = join(root, "scripts", "sim-hooks.mjs");
// A history keeps much alive until it ends, and then nothing: a large young generation is cheaper to collect.
const flags = ["--no-warnings", "--max-semi-space-size=64", "--stack-trace-limit=4", "--import", hooks];
const { code } = await run(process.execPath, [...flags, join(root, "sim", "main.ts"), ...process.argv.slice(2)]);
process.exitCode = code;
