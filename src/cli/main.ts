#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { connect, connectAdmin } from "../index.ts";
import type { CliContext } from "./cli.ts";
import { run } from "./program.ts";

/** So long the process waits to end by itself, its last words included. */
const LEFTOVERS_MS = 1_000;

const stop = new AbortController();

process.exitCode = await run(process.argv.slice(2), surroundings());
// Everything is closed. Yet Cassandra's driver leaves timers behind when a node went down shortly before, and nobody would end us.
setTimeout(() => process.exit(), LEFTOVERS_MS).unref();

function surroundings(): CliContext {
  process.on("SIGINT", endInPeace);
  process.on("SIGTERM", endInPeace);
  // Whoever reads us has enough, as in `meridian tail standup | head`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    stop.abort();
  });
  return {
    stdout: (text) => new Promise((resolve) => process.stdout.write(text, () => resolve())),
    stderr: (text) => process.stderr.write(text),
    stderrIsTerminal: process.stderr.isTTY,
    stdin: process.stdin,
    environment: process.env,
    version: versionOf(new URL("../../package.json", import.meta.url)),
    signal: stop.signal,
    clock: {
      monotonicMs: () => performance.now(),
      wallMs: () => Date.now(),
      after: (delayMs, fire) => {
        const timer = setTimeout(fire, delayMs);
        return () => clearTimeout(timer);
      },
    },
    connect,
    connectAdmin,
  };
}

/** A second signal, of either kind, ends the process at once, as it would without us. */
function endInPeace(): void {
  process.off("SIGINT", endInPeace);
  process.off("SIGTERM", endInPeace);
  stop.abort();
}

function versionOf(packageFile: URL): string {
  const { version } = JSON.parse(readFileSync(packageFile, "utf8")) as { version: string };
  return version;
}
