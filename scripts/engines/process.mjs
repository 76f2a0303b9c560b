// What the engines' scripts share: servers that go on running after the script that started them has ended.
import { spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { root } from "../lib.mjs";

/** Where engines, their data and what was built for them lie, unless a test says otherwise. */
export const home = join(root, ".engines");

/**
 * With nothing cached, etcd takes a minute to build on an idle machine and was seen to take more than four on a busy one. A
 * registry that does not answer shall hold nobody up for longer than this.
 */
const TOOL_MS = 420_000;

/** What was downloaded or built: it survives `wipe`, and tests share it. */
export const cache = join(home, "cache");

/**
 * A server process with a folder of its own, in which `pid` and `log` lie. The process is found again by its number and
 * by its command line, which must hold the folder's path: numbers are given out again.
 */
export class Server {
  #pidFile;

  constructor({ name, folder }) {
    this.name = name;
    this.folder = folder;
    this.log = join(folder, "log");
    this.#pidFile = join(folder, "pid");
  }

  /** The process's number, or undefined when it does not run. */
  get pid() {
    return this.#look()?.pid;
  }

  /** "running", "paused" (by SIGSTOP) or "stopped". */
  get state() {
    const found = this.#look();
    if (found === undefined) return "stopped";
    return found.isPaused ? "paused" : "running";
  }

  /** Starts the process; does nothing while it runs. Its output goes to `log`, behind what stands there. */
  start(command, args, { env = {}, cwd = this.folder } = {}) {
    if (this.pid !== undefined) return;
    mkdirSync(this.folder, { recursive: true });
    const log = openSync(this.log, "a");
    try {
      // A group of its own: Ctrl-C in the terminal does not reach it.
      const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: ["ignore", log, log] });
      child.on("error", (error) => writeFileSync(this.log, `${error.message}\n`, { flag: "a" }));
      child.unref();
      if (child.pid !== undefined) writeFileSync(this.#pidFile, String(child.pid));
    } finally {
      closeSync(log);
    }
  }

  /** Sends a signal to the process; answers whether there was one. */
  signal(name) {
    const { pid } = this;
    if (pid === undefined) return false;
    process.kill(pid, name);
    return true;
  }

  /** Asks the process to end, and ends it by force when it has not after `graceMs`. */
  async stop({ graceMs = 10_000 } = {}) {
    this.signal("SIGTERM");
    // A paused process takes the signal only once it goes on.
    this.signal("SIGCONT");
    if (!(await until(() => this.pid === undefined, graceMs))) await this.kill();
  }

  /** As a crash ends it: `kill -9`. Resolves once the process is gone. */
  async kill() {
    this.signal("SIGKILL");
    if (!(await until(() => this.pid === undefined, 10_000))) throw new Error(`${this.name} does not end`);
  }

  /** The last lines of the log, for whoever must say why it does not start. */
  tail(lines = 5) {
    return existsSync(this.log) ? readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-lines).join("\n") : "";
  }

  #look() {
    if (!existsSync(this.#pidFile)) return undefined;
    const pid = Number(readFileSync(this.#pidFile, "utf8"));
    const found = describe(pid);
    if (found === undefined || found.isOver) return undefined;
    // Nothing stands there for a moment while one program becomes another, as setpriv becomes java.
    const isOurs = found.command === "" || found.command.includes(this.folder);
    return isOurs ? { pid, isPaused: found.isPaused } : undefined;
  }
}

/** A process's state and command line; undefined when there is none of this number. Linux answers without starting `ps`. */
function describe(pid) {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The name before the state may hold anything, parentheses too.
      return stateOf(stat.slice(stat.lastIndexOf(")") + 2), readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "));
    } catch {
      return undefined;
    }
  }
  const { status, stdout } = spawnSync("ps", ["-ww", "-o", "stat=,command=", "-p", String(pid)], { encoding: "utf8" });
  return status === 0 ? stateOf(stdout.trim(), stdout) : undefined;
}

/** A zombie is over: it waits for its parent to look. */
function stateOf(letters, command) {
  return { command, isPaused: letters.startsWith("T"), isOver: letters.startsWith("Z") || letters.startsWith("X") };
}

/** Looks every 50 ms; answers whether `holds` became true within `withinMs`. `holds` may be async, and may throw for no. */
export async function until(holds, withinMs) {
  const endsAtMs = Date.now() + withinMs;
  for (;;) {
    try {
      if (await holds()) return true;
    } catch {
      // Not yet.
    }
    if (Date.now() >= endsAtMs) return false;
    await pause(50);
  }
}

/** Whether a program can be started: a command that does nothing, such as `["go", "version"]`, ends well. */
export function isPresent([command, ...args]) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/**
 * Makes a folder of the cache once: `make` fills another one, which then takes the name, so that neither a run that was
 * interrupted nor two runs at once leave half of it. Answers the folder.
 */
export async function cached(name, make) {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const draft = `${folder}.${process.pid}`;
  try {
    mkdirSync(draft, { recursive: true });
    await make(draft);
    mkdirSync(dirname(folder), { recursive: true });
    if (!existsSync(folder)) renameSync(draft, folder);
    return folder;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Runs a program to its end; throws with what it printed when it fails, or has not ended in time. Answers what it printed. */
export function tool(command, args, { cwd = root, env = {}, withinMs = TOOL_MS } = {}) {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"], timeout: withinMs };
    const child = spawn(command, args, options);
    const printed = [];
    child.stdout.on("data", (chunk) => printed.push(chunk));
    child.stderr.on("data", (chunk) => printed.push(chunk));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const output = Buffer.concat(printed).toString("utf8").trimEnd();
      const end = signal === null ? `ended with exit code ${code}` : `was ended after at most ${withinMs / 1_000} s`;
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args[0] ?? ""} ${end}\n${output}`));
    });
  });
}

/** What `freePorts` has answered: who asked for it may not listen there yet. */
const given = new Set();

/**
 * Ports of 127.0.0.1 that nobody listens on now: for tests, each of which runs servers of its own. They lie below those that
 * systems give to outgoing connections (from 32,768 on Linux): else one of these may hold the port of a server that was killed
 * when it is started again.
 */
export async function freePorts(count) {
  const ports = [];
  while (ports.length < count) {
    const port = randomInt(10_000, 32_768);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
