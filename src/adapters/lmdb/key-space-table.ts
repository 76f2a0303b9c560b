import { MeridianError } from "../../kernel/errors.ts";
import type { KeyValue } from "../../ports/coordinator.ts";
import { type Change, keyOf } from "../memory/key-space.ts";
import type { Database, Transaction } from "./database.ts";

/** The part of the database that a key space needs. */
export type KeySpaceStore = Pick<Database, "transaction">;

/**
 * A key space as LMDB keeps it, in the table `coordinator`:
 *   0         → the revision, 8 bytes
 *   1, key    → 1 byte: whether the key is on a lease; its mod revision, 8 bytes; its value
 * Which lease it is need not be known: no lease outlives the process that served it.
 */
const TABLE = "coordinator";
const REVISION = Buffer.from([0]);
const KEYS = Buffer.from([1]);
const HEAD_BYTES = 9;

/**
 * Drops all former leases with their keys and answers what stands, at a revision of its own. Safe without waiting for the
 * leases' end: the database has a new owner, so whoever held them can write nothing any more, neither here nor to the log.
 */
export function takeOverKeySpace(store: KeySpaceStore): Promise<{ revision: number; kvs: KeyValue[] }> {
  return store.transaction((transaction) => {
    const revision = storedRevision(transaction) + 1;
    const kvs: KeyValue[] = [];
    for (const { key, value } of transaction.range(TABLE, KEYS)) {
      const { leased, ...stored } = decode(value);
      if (leased) transaction.remove(TABLE, key);
      else kvs.push({ key: Buffer.from(key).toString("utf8", KEYS.length), ...stored });
    }
    transaction.put(TABLE, REVISION, encodeRevision(revision));
    return { revision, kvs };
  });
}

/**
 * Makes changes durable, all or none. To be called for each change in the order of revisions, and again after a failure:
 * a try that was given up and landed all the same is seen by its revision, and nothing older is written over newer.
 */
export function saveChanges(store: KeySpaceStore, changes: readonly Change[]): Promise<void> {
  const revision = Math.max(...changes.map((change) => change.revision));
  // Of several changes of a key in a group only the last is on its way to the disk.
  const values = new Map<string, Buffer | undefined>();
  for (const { events } of changes) {
    for (const event of events) values.set(keyOf(event), event.type === "put" ? encode(event.kv) : undefined);
  }
  let bytes = 0;
  for (const value of values.values()) bytes += value?.length ?? 0;
  return store.transaction((transaction) => {
    if (storedRevision(transaction) >= revision) return;
    for (const [key, value] of values) {
      const storedKey = Buffer.concat([KEYS, Buffer.from(key, "utf8")]);
      if (value === undefined) transaction.remove(TABLE, storedKey);
      else transaction.put(TABLE, storedKey, value);
    }
    transaction.put(TABLE, REVISION, encodeRevision(revision));
  }, bytes);
}

function storedRevision(transaction: Transaction): number {
  const stored = transaction.get(TABLE, REVISION);
  return stored === undefined ? 0 : Number(buffer(stored).readBigUInt64BE());
}

function encodeRevision(revision: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(revision));
  return bytes;
}

function encode(kv: KeyValue): Buffer {
  return Buffer.concat([Buffer.from([kv.lease === undefined ? 0 : 1]), encodeRevision(kv.modRevision), kv.value]);
}

function decode(stored: Uint8Array): { leased: boolean; modRevision: number; value: Uint8Array } {
  const bytes = buffer(stored);
  if (bytes.length < HEAD_BYTES || (bytes[0] ?? 2) > 1) {
    throw new MeridianError("CORRUPT", "a key of the coordinator's table is not as it was written");
  }
  const modRevision = Number(bytes.readBigUInt64BE(1));
  return { leased: bytes[0] === 1, modRevision, value: new Uint8Array(bytes.subarray(HEAD_BYTES)) };
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
