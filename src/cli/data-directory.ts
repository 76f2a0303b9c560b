/**
 * Deleting a node's data, but not under a node.
 *
 * A file that a running node leaves there would outlive its crash, and a process id in it comes back on another process. The
 * system itself knows who has the database open, so it is asked: Linux by /proc, macOS by lsof. Windows does not let anybody
 * delete a file that is open.
 */
import { execFile } from "node:child_process";
import { readdir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { MeridianError } from "../kernel/errors.ts";

const DATABASE = "data.mdb";
const FILES = [DATABASE, "lock.mdb"];

/** Throws UNAVAILABLE if a process has a database of the directory open, or the system cannot tell. */
export async function refuseIfUsed(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  for (const part of await partsOf(directory)) {
    const file = join(part, DATABASE);
    if ((await identityOf(file)) === undefined) continue;
    const pid = await (process.platform === "linux" ? findInProc(file) : askLsof(file));
    if (pid === undefined) continue;
    throw new MeridianError("UNAVAILABLE", `Meridian runs on ${directory} already: process ${pid}`, {
      retry: "never",
      advice: "Use that one, or stop it first, or give another directory with --data.",
    });
  }
}

/**
 * Deletes Meridian's files and the directory, of one node or of several regions. Throws NOT_FOUND, with nothing deleted, if
 * it is none of Meridian's.
 */
export async function deleteData(directory: string): Promise<void> {
  const parts = await partsOf(directory);
  for (const part of parts) await checkData(part);
  for (const part of parts) {
    for (const name of FILES) await rm(join(part, name), { force: true });
    await rmdir(part);
  }
  if (!parts.includes(directory)) await rmdir(directory);
}

/** The directories with a database each: regions that run in one process have one each in the data directory. */
async function partsOf(directory: string): Promise<readonly string[]> {
  const entries = (await unlessHidden(readdir(directory, { withFileTypes: true }))) ?? [];
  const isOfRegions = entries.length > 0 && entries.every((entry) => entry.isDirectory());
  return isOfRegions ? entries.map(({ name }) => join(directory, name)) : [directory];
}

async function checkData(directory: string): Promise<void> {
  const names = await readdir(directory).catch((cause: unknown) => {
    throw new MeridianError("NOT_FOUND", `there is no data directory ${directory}`, { advice: "Name it with --data.", cause });
  });
  const strange = names.filter((name) => !FILES.includes(name));
  if (!names.includes(DATABASE) || strange.length > 0) {
    const why = strange.length > 0 ? `it also holds ${strange.slice(0, 3).join(", ")}` : "it holds no database";
    throw new MeridianError("NOT_FOUND", `${directory} is not a data directory of Meridian: ${why}`, {
      advice: "Nothing was deleted. Name the right directory with --data.",
    });
  }
}

/** Other users' processes are not shown to us; nor may we delete their files. */
async function findInProc(file: string): Promise<number | undefined> {
  const identity = await identityOf(file);
  for (const pid of await list("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const folder = `/proc/${pid}/fd`;
    for (const descriptor of await list(folder)) {
      if ((await identityOf(join(folder, descriptor))) === identity) return Number(pid);
    }
  }
  return undefined;
}

async function askLsof(file: string): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)("lsof", ["-t", "--", file]);
    return Number.parseInt(stdout, 10);
  } catch (cause) {
    // It ends with 1 when nobody has the file open.
    if (cause instanceof Error && "code" in cause && cause.code === 1) return undefined;
    throw new MeridianError("UNAVAILABLE", `it cannot be told whether a node runs on ${file}: lsof does not work`, {
      retry: "never",
      advice: "Stop the node, then delete its data directory by hand.",
      cause,
    });
  }
}

/** Device and inode; undefined for what is not there, or not shown. Processes come and go while we look. */
async function identityOf(path: string): Promise<string | undefined> {
  const found = await unlessHidden(stat(path, { bigint: true }));
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}

async function list(folder: string): Promise<readonly string[]> {
  return (await unlessHidden(readdir(folder))) ?? [];
}

const HIDDEN = ["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ESRCH", "ELOOP", "ENXIO"];

async function unlessHidden<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && "code" in error && HIDDEN.includes(String(error.code))) return undefined;
    throw error;
  }
}
