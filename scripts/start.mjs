// npm start: installs and builds what is stale, then becomes `meridian start` with the arguments given after `--`.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureBuilt, ensureInstalled, root, say } from "./lib.mjs";

say("meridian: starting");
await ensureInstalled();
await ensureBuilt();

// The program runs in this very process, so that signals reach it once and its exit code is ours.
const program = join(root, "dist", "cli", "main.js");
process.argv.splice(1, process.argv.length - 1, program, "start", ...process.argv.slice(2));
await import(pathToFileURL(program).href);
