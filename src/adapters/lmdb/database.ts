/**
 * The one LMDB environment of an embedded node: log and coordinator share it, and with it every fsync.
 *
 * Two things hold of a write whose promise has resolved: it is on the disk, and this process was the owner when it was
 * applied. LMDB admits several processes, so a second node on the same directory, beside a first one that is stopped and
 * wakes later, would fork the log. A lock file does not help: the stopped process keeps it, and whoever then removes it by
 * hand forks. So each start writes a fresh random owner number, and every transaction compares it *inside* LMDB's single
 * writer: the newest start wins, and an older one cannot apply anything after it.
 */
import { randomBytes } from "node:crypto";
import { MeridianError } from "../../kernel/errors.ts";
import { type Environment, openEnvironment, writeError } from "./environment.ts";
import { GroupCommit, type Transaction } from "./group-commit.ts";
import { type Entry, entries, lastEntry, prefixed, type Table, value } from "./tables.ts";

export type { Entry, Table, Transaction };

export type Operation =
  | { readonly put: readonly [table: Table, key: Uint8Array, value: Uint8Array] }
  | { readonly remove: readonly [table: Table, key: Uint8Array] };

export interface DatabaseOptions {
  /** Called once, when another process has taken the directory over: nothing is written any more, and the node must exit. */
  readonly onOwnerLost: (error: MeridianError) => void;
}

const OWNER = prefixed("meta", Buffer.from("owner"));
const FORMAT = prefixed("meta", Buffer.from("format"));
const FORMAT_VERSION = Buffer.from("1");

export class Database {
  readonly #path: string;
  readonly #environment: Environment;
  readonly #commits: GroupCommit;
  #open = true;

  private constructor(path: string, environment: Environment, commits: GroupCommit) {
    this.#path = path;
    this.#environment = environment;
    this.#commits = commits;
  }

  /** Takes the directory over: when this resolves, no earlier owner can apply a write any more. Throws UNAVAILABLE. */
  static async open(path: string, options: DatabaseOptions): Promise<Database> {
    const environment = await openEnvironment(path);
    const number = randomBytes(16);
    try {
      await environment.transaction(() => {
        checkFormat(path, environment.get(FORMAT));
        void environment.put(FORMAT, FORMAT_VERSION);
        void environment.put(OWNER, number);
      });
    } catch (error) {
      await environment.close();
      throw await writeError(path, error);
    }
    const ownership = { key: OWNER, number, onLost: options.onOwnerLost };
    return new Database(path, environment, new GroupCommit(environment, path, ownership));
  }

  /** Applies all operations or none; on disk when it resolves. Throws UNAVAILABLE: they may have been, or yet be, applied. */
  write(operations: readonly Operation[]): Promise<void> {
    let bytes = 0;
    for (const operation of operations) if ("put" in operation) bytes += operation.put[2].length;
    return this.transaction((transaction) => {
      for (const operation of operations) {
        if ("put" in operation) transaction.put(...operation.put);
        else transaction.remove(...operation.remove);
      }
    }, bytes);
  }

  /** Reads one value and, unless `next` answers undefined, writes it anew, with nothing in between. Throws as `write`. */
  update(table: Table, key: Uint8Array, next: (present: Uint8Array | undefined) => Uint8Array | undefined): Promise<void> {
    return this.transaction((transaction) => {
      const changed = next(transaction.get(table, key));
      if (changed !== undefined) transaction.put(table, key, changed);
    });
  }

  /**
   * Runs `work`, which must not wait, inside one LMDB transaction, and resolves with its answer once all is on disk. If it
   * throws, nothing of it is applied and its error is thrown. `bytes` says about how much it will write. Without a put or
   * remove it is a read, free of an fsync, that is no older than this call and was made as the owner. Throws as `write`.
   */
  transaction<T>(work: (transaction: Transaction) => T, bytes = 0): Promise<T> {
    return this.#commits.submit(work, bytes);
  }

  /** Sees only what is committed, perhaps by a newer owner. The value is a copy. */
  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen();
    return value(this.#environment, table, key);
  }

  /** The entries with `from <= key < to`, seen as by `get`. To be consumed without waiting in between. */
  range(table: Table, from: Uint8Array, to?: Uint8Array): Iterable<Entry> {
    this.#checkOpen();
    return entries(this.#environment, table, from, to);
  }

  /** The last entry of such a range. */
  last(table: Table, from: Uint8Array, to?: Uint8Array): Entry | undefined {
    this.#checkOpen();
    return lastEntry(this.#environment, table, from, to);
  }

  /** Refuses new writes, waits for those under way (bounded by LIMITS.storeWriteMs), and lets the files go. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    if (await this.#commits.close()) await this.#environment.close();
  }

  #checkOpen(): void {
    if (!this.#open) throw new MeridianError("UNAVAILABLE", `the database ${this.#path} is closed`, { retry: "elsewhere" });
  }
}

function checkFormat(path: string, found: Uint8Array | undefined): void {
  if (found === undefined || FORMAT_VERSION.equals(found)) return;
  const name = Buffer.from(found).toString();
  throw new MeridianError("UNAVAILABLE", `${path} has the data format ${name}; this version knows ${FORMAT_VERSION}`, {
    retry: "never",
    advice: "Run the version of Meridian that wrote it, or give another data directory.",
  });
}
