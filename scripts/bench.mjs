// npm run bench: measures beside each other what Meridian does and what it is built on (bench/main.ts).
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, root, run } from "./lib.mjs";

await ensureInstalled();
// The embedded profile measures the program as its user starts it.
await ensureBuilt();
const hooks = join(root, "scripts", "ts-hooks.mjs");
// Where thousands of messages are under way, they outlive the nursery that V8 has by default (docs/operating.md).
const flags = ["--no-warnings", "--max-semi-space-size=64", "--import", hooks];
const { code } = await run(process.execPath, [...flags, join(root, "bench", "main.ts"), ...process.argv.slice(2)]);
process.exitCode = code;
