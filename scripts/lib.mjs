// What the scripts share. No dependencies: these run before anything is installed.
import { spawn } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { delimiter, dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

requireNode(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).engines.node);

/** Ends the process with a plain sentence when this Node is older than `range`, which looks like ">=20.19". */
function requireNode(range) {
  const [wantMajor, wantMinor] = range.replace(">=", "").split(".").map(Number);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > wantMajor || (major === wantMajor && minor >= wantMinor)) return;
  fail(
    `Meridian needs Node ${wantMajor}.${wantMinor} or newer; this is Node ${process.versions.node}. Install a newer one and run this again.`,
  );
}

/** Prints a line about what the script does, on stderr: stdout belongs to the program that it runs. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

export function fail(line) {
  say(line);
  process.exit(1);
}

/** "1.4 s" since `startedMs`, a reading of `Date.now()`. */
export function since(startedMs) {
  return `${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
}

/**
 * Runs a program in the repository's root, with the installed tools on its path. Answers its exit code and, with `quiet`,
 * what it printed; without `quiet` the output goes to ours. A signal to this script is passed on.
 */
export function run(command, args, { quiet = false } = {}) {
  return new Promise((resolve) => {
    const path = [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter);
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, PATH: path },
      stdio: quiet ? ["ignore", "pipe", "pipe"] : "inherit",
      // npm and the tools are .cmd files on Windows, which only a shell starts.
      shell: process.platform === "win32",
    });
    const printed = [];
    child.stdout?.on("data", (chunk) => printed.push(chunk));
    child.stderr?.on("data", (chunk) => printed.push(chunk));
    const passOn = (signal) => child.kill(signal);
    process.on("SIGTERM", passOn);
    process.on("SIGINT", passOn);
    const settle = (code, text) => {
      process.off("SIGTERM", passOn);
      process.off("SIGINT", passOn);
      resolve({ code, output: Buffer.concat(printed).toString("utf8") + text });
    };
    child.on("error", (error) => settle(127, `${command} could not be started: ${error.message}\n`));
    child.on("close", (code, signal) => settle(code ?? 1, signal === null ? "" : `${command} was ended by ${signal}\n`));
  });
}

/** Runs `npm ci` when node_modules is not what package-lock.json asks for. */
export async function ensureInstalled() {
  if (isInstalled()) return;
  say("meridian: installing packages (npm ci)");
  const { code, output } = await run("npm", ["ci", "--no-progress"], { quiet: true });
  if (code !== 0) fail(`${output}\nmeridian: npm ci failed; the lines above say why. Repeat it with: npm ci`);
}

/**
 * Compares versions, not times: a checkout gives package-lock.json a new time without changing it. npm keeps what it has
 * installed in node_modules/.package-lock.json; packages for other platforms are missing there.
 */
function isInstalled() {
  const installedFile = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installedFile)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages;
  const isAsWanted = ([path, entry]) =>
    path === "" || (installed[path] === undefined ? entry.optional === true : installed[path].integrity === entry.integrity);
  return Object.entries(wanted).every(isAsWanted) && Object.keys(installed).every((path) => wanted[path] !== undefined);
}

/** Compiles src to dist when a source is newer than the last good build. */
export async function ensureBuilt() {
  const stamp = join(root, "dist", ".tsbuildinfo");
  const startedMs = Date.now();
  if (isBuilt(stamp)) return;
  say("meridian: compiling (tsc)");
  // Without the program tsc would trust its notes of an earlier build and write only what changed since.
  if (!existsSync(join(root, "dist", "cli", "main.js"))) rmSync(stamp, { force: true });
  const { code, output } = await run("tsc", ["-p", "tsconfig.build.json"], { quiet: true });
  if (code !== 0) {
    // tsc writes its notes even then; with them the next run would take the broken build for a good one.
    rmSync(stamp, { force: true });
    fail(`${output}\nmeridian: the sources do not compile; the lines above say where. Repeat it with: npm run build`);
  }
  // npm does it when it links the program for npx, and never again: after a build from nothing npx would be refused.
  chmodSync(join(root, "dist", "cli", "main.js"), 0o755);
  utimesSync(stamp, startedMs / 1000, startedMs / 1000);
}

function isBuilt(stamp) {
  if (!existsSync(stamp) || !existsSync(join(root, "dist", "cli", "main.js"))) return false;
  const builtMs = statSync(stamp).mtimeMs;
  const inputs = ["src", "tsconfig.json", "tsconfig.build.json", "package-lock.json"].map((name) => join(root, name));
  return inputs.every((input) => newestMs(input) < builtMs);
}

/** The newest change under a path; a folder's own time tells of files that came, went or were renamed. */
function newestMs(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}

/**
 * Installs and builds what is stale, then runs a command of the program with this script's arguments, in this very process: so
 * signals reach it once, and its exit code is ours.
 */
export async function becomeProgram(command) {
  await ensureInstalled();
  await ensureBuilt();
  const program = join(root, "dist", "cli", "main.js");
  process.argv.splice(1, process.argv.length - 1, program, command, ...process.argv.slice(2));
  await import(pathToFileURL(program).href);
}

/** Every file under a folder, relative to it, with `/` between its parts, sorted. */
export function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .split(sep)
        .join("/"),
    )
    .sort();
}
