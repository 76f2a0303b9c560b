// npm run chaos: node processes on real engines, real chat, real faults, and a judge (chaos/main.ts).
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, root, run } from "./lib.mjs";

await ensureInstalled();
await ensureBuilt();
const hooks = join(root, "scripts", "ts-hooks.mjs");
// The record of half an hour is judged in one go.
const flags = ["--no-warnings", "--enable-source-maps", "--max-old-space-size=8192", "--import", hooks];
const { code } = await run(process.execPath, [...flags, join(root, "chaos", "main.ts"), ...process.argv.slice(2)]);
process.exitCode = code;
