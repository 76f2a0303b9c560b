/**
 * Many writers, one fsync: while one LMDB transaction is synced to disk, the next group gathers.
 *
 * The groups are made here and not by lmdb-js. Its conditional batches (`ifVersion`), the other way to compare the owner
 * inside the transaction, were as fast with 8 writes in flight and a quarter slower with 512; they cannot read and then
 * decide, and put 8 bytes of version before every value.
 *
 * lmdb-js can also hang: a transaction that cannot even begin (LMDB panicked, or a stopped process holds its lock) never
 * settles its promise. So a group has a deadline. Past it its writes are unknown, and new ones are refused until it ends.
 */
import { Deferred } from "../../kernel/deferred.ts";
import { invariant, MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { type Environment, writeError } from "./environment.ts";
import { type Entry, entries, keys, prefixed, type Table, value } from "./tables.ts";

/** What a transaction works with. Its reads see everything before it, not its own writes: they are applied when it returns. */
export interface Transaction {
  get(table: Table, key: Uint8Array): Uint8Array | undefined;
  /** The entries with `from <= key < to` in order; without `to` up to the table's end. */
  range(table: Table, from: Uint8Array, to?: Uint8Array): Iterable<Entry>;
  /** As `range`, without reading the values. */
  keys(table: Table, from: Uint8Array, to?: Uint8Array): Iterable<Uint8Array>;
  put(table: Table, key: Uint8Array, value: Uint8Array): void;
  remove(table: Table, key: Uint8Array): void;
}

/** The number of this start, and where the newest start's number stands. */
export interface Ownership {
  readonly key: Buffer;
  readonly number: Buffer;
  readonly onLost: (error: MeridianError) => void;
}

interface Work {
  readonly size: number;
  readonly run: (transaction: Transaction) => void;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** stuck: a group is past its deadline. lost: another process owns the directory. */
type State = "open" | "stuck" | "lost" | "closed";

/** What a waiting write costs beside its bytes. */
const WORK_BYTES = 256;

/** Far below LMDB's own limit (1,978 bytes), and above the longest key of any table. */
const KEY_BYTES = 1_024;

export class GroupCommit {
  readonly #environment: Environment;
  readonly #path: string;
  readonly #ownership: Ownership;
  readonly #lost: MeridianError;
  #state: State = "open";
  #waiting: Work[] = [];
  #waitingBytes = 0;
  #committing: Promise<void> | undefined;
  /** Resolved while a group is past its deadline. */
  #stuck = new Deferred<void>();

  constructor(environment: Environment, path: string, ownership: Ownership) {
    this.#environment = environment;
    this.#path = path;
    this.#ownership = ownership;
    this.#lost = new MeridianError("UNAVAILABLE", `another process has opened ${path} and owns it now`, {
      retry: "never",
      advice: "Run one node per data directory; this one must exit.",
    });
  }

  submit<T>(work: (transaction: Transaction) => T, bytes: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const refusal = this.#refusal();
      if (refusal !== undefined) return reject(refusal);
      let answer: T;
      const size = bytes + WORK_BYTES;
      this.#waiting.push({
        size,
        run: (transaction) => {
          answer = work(transaction);
        },
        done: () => resolve(answer),
        failed: reject,
      });
      this.#waitingBytes += size;
      this.#committing ??= this.#commitWaiting();
    });
  }

  /** Refuses new writes and waits for those under way. False: LMDB's writer hangs, and so would closing it. */
  async close(): Promise<boolean> {
    this.#state = "closed";
    if (this.#committing === undefined) return true;
    return Promise.race([this.#committing.then(() => true), this.#stuck.promise.then(() => false)]);
  }

  async #commitWaiting(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commitGroup();
    this.#committing = undefined;
  }

  async #commitGroup(): Promise<void> {
    let group: readonly Work[] = [];
    const overdue = setTimeout(() => this.#giveUp(group), LIMITS.storeWriteMs);
    try {
      const failures = await this.#environment.transaction(() => {
        // Only now: everything that came while lmdb-js was getting ready shares this fsync.
        group = this.#takeGroup();
        return this.#apply(group);
      });
      for (const [index, work] of group.entries()) {
        if (failures.has(index)) work.failed(failures.get(index));
        else work.done();
      }
    } catch (thrown) {
      const error = await writeError(this.#path, thrown);
      for (const work of group.length === 0 ? this.#takeGroup() : group) work.failed(error);
      if (error === this.#lost) this.#lose();
    } finally {
      clearTimeout(overdue);
      this.#recover();
    }
  }

  #takeGroup(): readonly Work[] {
    let count = 0;
    let bytes = 0;
    for (const work of this.#waiting) {
      if (count > 0 && bytes + work.size > LIMITS.storeGroupBytes) break;
      count += 1;
      bytes += work.size;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  /** Inside LMDB's transaction. Answers which works failed by themselves; throws when the whole group must fail. */
  #apply(group: readonly Work[]): ReadonlyMap<number, unknown> {
    const owner = this.#environment.get(this.#ownership.key);
    if (owner === undefined || !this.#ownership.number.equals(owner)) throw this.#lost;
    const failures = new Map<number, unknown>();
    for (const [index, work] of group.entries()) {
      const writes = new Writes(this.#environment);
      try {
        work.run(writes);
      } catch (error) {
        failures.set(index, error);
        continue;
      }
      writes.apply();
    }
    return failures;
  }

  #lose(): void {
    if (this.#state === "lost") return;
    this.#state = "lost";
    this.#ownership.onLost(this.#lost);
  }

  #giveUp(group: readonly Work[]): void {
    if (this.#state === "open") this.#state = "stuck";
    this.#stuck.resolve();
    for (const work of [...group, ...this.#waiting]) work.failed(this.#slow());
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #recover(): void {
    if (this.#state === "stuck") this.#state = "open";
    this.#stuck = new Deferred<void>();
  }

  #refusal(): MeridianError | undefined {
    if (this.#state === "lost") return this.#lost;
    if (this.#state === "stuck") return this.#slow();
    if (this.#state === "closed") {
      return new MeridianError("UNAVAILABLE", `the database ${this.#path} is closed`, { retry: "elsewhere" });
    }
    if (this.#waitingBytes < LIMITS.storeQueueBytes) return undefined;
    return new MeridianError("UNAVAILABLE", `the disk of ${this.#path} does not keep up with what is written`);
  }

  #slow(): MeridianError {
    return new MeridianError("UNAVAILABLE", `the disk of ${this.#path} had no answer within ${LIMITS.storeWriteMs} ms`);
  }
}

/** The writes of one work, put aside until it has returned, so that one that throws leaves nothing behind. */
class Writes implements Transaction {
  readonly #environment: Environment;
  readonly #writes: { readonly key: Buffer; readonly value: Uint8Array | undefined }[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return value(this.#environment, table, key);
  }

  range(table: Table, from: Uint8Array, to?: Uint8Array): Iterable<Entry> {
    return entries(this.#environment, table, from, to);
  }

  keys(table: Table, from: Uint8Array, to?: Uint8Array): Iterable<Uint8Array> {
    return keys(this.#environment, table, from, to);
  }

  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    this.#writes.push({ key: checkedKey(table, key), value });
  }

  remove(table: Table, key: Uint8Array): void {
    this.#writes.push({ key: checkedKey(table, key), value: undefined });
  }

  /** A write that LMDB refuses marks its transaction as broken, so that its commit fails: no group is applied by halves. */
  apply(): void {
    for (const { key, value } of this.#writes) {
      // Inside a transaction both act at once; their promises are lmdb-js's constants.
      if (value === undefined) void this.#environment.remove(key);
      else void this.#environment.put(key, value);
    }
  }
}

/** lmdb-js refuses a key that is too long before LMDB hears of it, and the transaction would go on without that write. */
function checkedKey(table: Table, key: Uint8Array): Buffer {
  invariant(key.length <= KEY_BYTES, `a key of table ${table} has ${key.length} bytes`);
  return prefixed(table, key);
}
