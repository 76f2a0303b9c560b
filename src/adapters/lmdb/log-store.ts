import { invariant, MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { CursorKey, CursorPosition, Page, ReadOptions, Row, StoredCheckpoint } from "../../ports/log-store.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import type { CheckpointKey, EpochMark, Replica, RowKey, StoredCursor } from "../wan/replica.ts";
import type { Database, Transaction } from "./database.ts";
import {
  afterAll,
  bufferOf,
  checkpointKey,
  checkpointOfKey,
  conversationKey,
  cursorKey,
  justAfter,
  namesOfKey,
  readSeq,
  rowKey,
  rowOfKey,
  shardKey,
  writeSeq,
} from "./keys.ts";

/** Before every key of a table. */
const BEGINNING = Buffer.alloc(0);

/** The log on one disk: alone it is also the quorum, so every level reads the same; or it is one of several replicas. */
export class LmdbLogStore implements Replica {
  readonly #database: Database;
  readonly #telemetry: Telemetry;
  #failing = false;

  constructor(options: { readonly database: Database; readonly telemetry: Telemetry }) {
    this.#database = options.database;
    this.#telemetry = options.telemetry;
  }

  append(row: Row): Promise<"committed" | "unknown"> {
    const key = rowKey(row.conversation, row.firstSeq, row.epoch);
    return this.#settle(this.#database.write([{ put: ["rows", key, row.bytes] }]));
  }

  async read(conversation: string, fromSeq: number, options: ReadOptions): Promise<Page> {
    const bucketEnd = Math.ceil(fromSeq / LIMITS.bucketMessages) * LIMITS.bucketMessages;
    const from = rowKey(conversation, fromSeq, 0n);
    const to = rowKey(conversation, bucketEnd + 1, 0n);
    const rows: Row[] = [];
    let bytes = 0;
    for (const entry of this.#database.range("rows", from, to)) {
      const { firstSeq, epoch } = rowOfKey(entry.key);
      if (bytes >= options.limitBytes && firstSeq !== rows.at(-1)?.firstSeq) return { rows, more: true };
      rows.push({ conversation, firstSeq, epoch, bytes: entry.value });
      bytes += entry.value.length;
    }
    return { rows, more: false };
  }

  saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed" | "unknown"> {
    const save = (transaction: Transaction) => {
      const prefix = conversationKey(conversation);
      const present = [...transaction.keys("checkpoints", prefix, afterAll(prefix))];
      const newest = present.at(-1);
      const mine = checkpointKey(conversation, epoch, seq);
      // Ordered by epoch, then seq: what arrives late changes nothing, and what it would replace is already gone.
      if (newest !== undefined && Buffer.compare(newest, mine) >= 0) return;
      for (const key of present) transaction.remove("checkpoints", key);
      transaction.put("checkpoints", mine, bytes);
    };
    return this.#settle(this.#database.transaction(save, bytes.length));
  }

  async loadCheckpoint(conversation: string): Promise<StoredCheckpoint | undefined> {
    const prefix = conversationKey(conversation);
    const newest = this.#database.last("checkpoints", prefix, afterAll(prefix));
    return newest === undefined ? undefined : { ...checkpointOfKey(newest.key), bytes: newest.value };
  }

  saveCursor(cursor: CursorKey, position: CursorPosition): Promise<void> {
    // Generation before seq, both big-endian: the greater value is the greater position.
    const value = Buffer.allocUnsafe(16);
    writeSeq(value, 0, position.generation);
    writeSeq(value, 8, position.seq);
    return this.#raise("cursors", cursorKey(cursor.conversation, cursor.consumer), value);
  }

  async loadCursor(cursor: CursorKey): Promise<CursorPosition | undefined> {
    const value = this.#database.get("cursors", cursorKey(cursor.conversation, cursor.consumer));
    return value === undefined ? undefined : positionOf(value);
  }

  async loadEpochMark(shard: number): Promise<bigint> {
    const value = this.#database.get("epochMarks", shardKey(shard));
    return value === undefined ? 0n : bufferOf(value).readBigUInt64BE();
  }

  raiseEpochMark(shard: number, epoch: bigint): Promise<void> {
    const value = Buffer.allocUnsafe(8);
    value.writeBigUInt64BE(epoch);
    return this.#raise("epochMarks", shardKey(shard), value);
  }

  scanRows(after: RowKey | undefined, limit: number): Promise<readonly RowKey[]> {
    const from = after === undefined ? BEGINNING : justAfter(rowKey(after.conversation, after.firstSeq, after.epoch));
    return this.#database.transaction((transaction) => {
      const found: RowKey[] = [];
      for (const key of transaction.keys("rows", from)) {
        found.push({ conversation: namesOfKey(key, 1)[0] as string, ...rowOfKey(key) });
        if (found.length === limit) break;
      }
      return found;
    });
  }

  missingRows(keys: readonly RowKey[]): Promise<readonly RowKey[]> {
    return this.#database.transaction((transaction) =>
      keys.filter(({ conversation, firstSeq, epoch }) => {
        const key = rowKey(conversation, firstSeq, epoch);
        for (const _ of transaction.keys("rows", key, justAfter(key))) return false;
        return true;
      }),
    );
  }

  async rowsOf(keys: readonly RowKey[], limitBytes: number): Promise<readonly Row[]> {
    const rows: Row[] = [];
    let size = 0;
    for (const key of keys) {
      const bytes = this.#database.get("rows", rowKey(key.conversation, key.firstSeq, key.epoch));
      invariant(bytes !== undefined, `a row is never deleted: ${key.conversation}#${key.firstSeq} epoch ${key.epoch}`);
      size += bytes.length;
      if (size > limitBytes && rows.length > 0) break;
      rows.push({ ...key, bytes });
    }
    return rows;
  }

  scanCheckpoints(after: string | undefined, limit: number): Promise<readonly CheckpointKey[]> {
    const from = after === undefined ? BEGINNING : afterAll(conversationKey(after));
    return this.#database.transaction((transaction) => {
      const found: CheckpointKey[] = [];
      for (const key of transaction.keys("checkpoints", from)) {
        found.push({ conversation: namesOfKey(key, 1)[0] as string, ...checkpointOfKey(key) });
        if (found.length === limit) break;
      }
      return found;
    });
  }

  checkpointKey(conversation: string): Promise<CheckpointKey | undefined> {
    const prefix = conversationKey(conversation);
    return this.#database.transaction((transaction) => {
      const newest = [...transaction.keys("checkpoints", prefix, afterAll(prefix))].at(-1);
      return newest === undefined ? undefined : { conversation, ...checkpointOfKey(newest) };
    });
  }

  async scanCursors(after: CursorKey | undefined, limit: number): Promise<readonly StoredCursor[]> {
    const from = after === undefined ? BEGINNING : justAfter(cursorKey(after.conversation, after.consumer));
    const found: StoredCursor[] = [];
    for (const { key, value } of this.#database.range("cursors", from)) {
      const [conversation, consumer] = namesOfKey(key, 2) as [string, string];
      found.push({ cursor: { conversation, consumer }, position: positionOf(value) });
      if (found.length === limit) break;
    }
    return found;
  }

  async epochMarks(): Promise<readonly EpochMark[]> {
    return Array.from(this.#database.range("epochMarks", BEGINNING), ({ key, value }) => ({
      shard: bufferOf(key).readUInt32BE(),
      epoch: bufferOf(value).readBigUInt64BE(),
    }));
  }

  #raise(table: "cursors" | "epochMarks", key: Buffer, value: Buffer): Promise<void> {
    const isAbove = (present: Uint8Array | undefined) => present === undefined || Buffer.compare(value, present) > 0;
    return this.#database.update(table, key, (present) => (isAbove(present) ? value : undefined));
  }

  async #settle(write: Promise<void>): Promise<"committed" | "unknown"> {
    try {
      await write;
      if (this.#failing) this.#telemetry.log("info", "store.writable");
      this.#failing = false;
      return "committed";
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      this.#telemetry.count("store.writes.unknown");
      // One line for a whole outage: a full disk does not get better by logging each try.
      if (!this.#failing) this.#telemetry.log("error", "store.failing", { error: error.toString(), advice: error.advice });
      this.#failing = true;
      return "unknown";
    }
  }
}

function positionOf(value: Uint8Array): CursorPosition {
  return { generation: readSeq(bufferOf(value), 0), seq: readSeq(bufferOf(value), 8) };
}
