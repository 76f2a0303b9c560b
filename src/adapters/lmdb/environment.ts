import { existsSync } from "node:fs";
import { mkdir, open as openFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { open as openLmdb, type RootDatabase } from "lmdb";
import { MeridianError } from "../../kernel/errors.ts";

/** LMDB reserves this much address space, not disk: the file grows with the data, so the disk is what runs out first. */
const MAP_BYTES = 2 ** 40;

export type Environment = RootDatabase<Uint8Array, Buffer>;

/** Opens, or makes, the LMDB environment in this directory. Throws UNAVAILABLE with what to do about it. */
export async function openEnvironment(directory: string): Promise<Environment> {
  const path = resolve(directory);
  try {
    const firstMade = await mkdir(path, { recursive: true });
    await checkDataFile(path);
    const environment = openLmdb<Uint8Array, Buffer>({
      path,
      // Otherwise a directory with a dot in its name is taken for the file itself.
      noSubdir: false,
      mapSize: MAP_BYTES,
      encoding: "binary",
      keyEncoding: "binary",
      // lmdb-js's default (true on Linux and macOS) makes a write's promise resolve when the commit is *visible*; the
      // fsync runs afterwards, and a failing one leaves `flushed` hanging for ever. False gives LMDB's own order, seen with
      // strace: writev of the pages, fdatasync, write of the meta page through an O_DSYNC descriptor, and only then the promise.
      overlappingSync: false,
      // Its batches per event turn add a promise that nobody holds: a failed commit then ends the process as an unhandled
      // rejection. Database makes the groups itself.
      eventTurnBatching: false,
    });
    await makeEntriesDurable(path, firstMade);
    return environment;
  } catch (error) {
    throw openError(path, error);
  }
}

const META_MAGIC = 0xbeefc0de;
const META_MAGIC_AT = 24;

/** LMDB maps the file without looking at much of it: a foreign or cut file ends the process with SIGSEGV instead of an error. */
async function checkDataFile(path: string): Promise<void> {
  const dataFile = join(path, "data.mdb");
  if (!existsSync(dataFile)) return;
  const file = await openFile(dataFile, "r+");
  try {
    const head = Buffer.alloc(META_MAGIC_AT + 4);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    const isNew = bytesRead === 0;
    if (!isNew && (bytesRead < head.length || head.readUInt32LE(META_MAGIC_AT) !== META_MAGIC)) {
      throw new MeridianError("UNAVAILABLE", `${dataFile} is not a database of Meridian, or its beginning is damaged`, {
        retry: "never",
        advice: "Give another data directory, or put the file back from a copy; do not delete it: it may be the only log.",
      });
    }
  } finally {
    await file.close();
  }
}

/** LMDB syncs its file, not the directory entry that leads to it: after a power cut a new database could be gone, acks and all. */
async function makeEntriesDurable(path: string, firstMade: string | undefined): Promise<void> {
  const top = firstMade === undefined ? path : dirname(firstMade);
  for (let directory = path; ; directory = dirname(directory)) {
    const handle = await openFile(directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (directory === top || directory === dirname(directory)) return;
  }
}

function openError(path: string, error: unknown): MeridianError {
  if (error instanceof MeridianError) return error;
  return new MeridianError("UNAVAILABLE", `the data directory ${path} cannot be opened: ${reasonOf(error)}`, {
    retry: "never",
    advice: adviceOf(error),
    cause: error,
  });
}

/** What a failed commit means. lmdb-js rejects with a bare "Commit failed" that carries a promise of the true reason. */
export async function writeError(path: string, thrown: unknown): Promise<MeridianError> {
  if (thrown instanceof MeridianError) return thrown;
  const error = await commitErrorOf(thrown);
  return new MeridianError("UNAVAILABLE", `a write to ${path} failed: ${reasonOf(error)}`, {
    advice: adviceOf(error),
    cause: error,
  });
}

async function commitErrorOf(thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof Error) || !("commitError" in thrown)) return thrown;
  try {
    await thrown.commitError;
    return thrown;
  } catch (reason) {
    return reason;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const ERRNO = { EPERM: 1, EIO: 5, ENOMEM: 12, EACCES: 13, ENOTDIR: 20, ENOSPC: 28, EROFS: 30, EDQUOT: 122 } as const;

/** Node gives the errno's name, LMDB its number; a write cut short by a full disk is an EIO to LMDB. */
function adviceOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const is = (name: keyof typeof ERRNO) => code === name || code === ERRNO[name];
  if (is("EACCES") || is("EPERM") || is("EROFS")) return "Let the node's user write to this directory.";
  if (is("ENOSPC") || is("EDQUOT") || is("EIO")) return "The disk is full or failing: free space, or look at the kernel's log.";
  if (is("ENOTDIR") || code === "EEXIST") return "Give the path of a directory, not of a file.";
  if (is("ENOMEM")) return "Allow the process 1 TiB of address space (ulimit -v): LMDB maps its file; the disk is not reserved.";
  return "Check the path and the disk.";
}
