import { invariant } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { CursorKey, CursorPosition, Page, ReadOptions, Row, StoredCheckpoint } from "../../ports/log-store.ts";
import type { CheckpointKey, EpochMark, Replica, RowKey, StoredCursor } from "../wan/replica.ts";

/**
 * One replica in memory that is also the quorum: every level reads the same, every answer is immediate. For tests and the
 * simulator, which put delay, loss and staleness around it. It keeps the very bytes it is given: nobody may change them.
 */
export class MemoryLogStore implements Replica {
  readonly #conversations = new Map<string, Conversation>();
  readonly #cursors = new Map<string, CursorPosition>();
  readonly #epochMarks = new Map<number, bigint>();

  async append(row: Row): Promise<"committed"> {
    const bucket = this.#bucket(row.conversation, row.firstSeq);
    let epochs = bucket.rows.get(row.firstSeq);
    if (epochs === undefined) {
      epochs = [];
      bucket.rows.set(row.firstSeq, epochs);
      insert(bucket.firstSeqs, row.firstSeq, (other) => other < row.firstSeq);
    }
    const same = epochs.find((other) => other.epoch === row.epoch);
    if (same === undefined) {
      insert(epochs, row, (other) => other.epoch < row.epoch);
    } else {
      invariant(
        Buffer.compare(same.bytes, row.bytes) === 0,
        `a row is only ever written again with the same bytes: ${row.conversation}#${row.firstSeq} epoch ${row.epoch}`,
      );
    }
    return "committed";
  }

  async read(conversation: string, fromSeq: number, options: ReadOptions): Promise<Page> {
    const bucket = this.#conversations.get(conversation)?.buckets.get(bucketOf(fromSeq));
    const rows: Row[] = [];
    if (bucket === undefined) return { rows, more: false };
    let bytes = 0;
    for (let at = position(bucket.firstSeqs, (seq) => seq < fromSeq); at < bucket.firstSeqs.length; at++) {
      if (bytes >= options.limitBytes && rows.length > 0) return { rows, more: true };
      for (const row of bucket.rows.get(bucket.firstSeqs[at] as number) ?? []) {
        rows.push(row);
        bytes += row.bytes.length;
      }
    }
    return { rows, more: false };
  }

  async saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed"> {
    const stored = this.#conversation(conversation);
    const present = stored.checkpoint;
    const newer = present === undefined || epoch > present.epoch || (epoch === present.epoch && seq > present.seq);
    if (newer) stored.checkpoint = { epoch, seq, bytes };
    return "committed";
  }

  async loadCheckpoint(conversation: string): Promise<StoredCheckpoint | undefined> {
    return this.#conversations.get(conversation)?.checkpoint;
  }

  async saveCursor(cursor: CursorKey, position: CursorPosition): Promise<void> {
    const key = cursorKey(cursor);
    const present = this.#cursors.get(key);
    const ahead =
      present === undefined ||
      position.generation > present.generation ||
      (position.generation === present.generation && position.seq > present.seq);
    if (ahead) this.#cursors.set(key, { generation: position.generation, seq: position.seq });
  }

  async loadCursor(cursor: CursorKey): Promise<CursorPosition | undefined> {
    return this.#cursors.get(cursorKey(cursor));
  }

  async loadEpochMark(shard: number): Promise<bigint> {
    return this.#epochMarks.get(shard) ?? 0n;
  }

  async raiseEpochMark(shard: number, epoch: bigint): Promise<void> {
    if (epoch > (this.#epochMarks.get(shard) ?? 0n)) this.#epochMarks.set(shard, epoch);
  }

  async scanRows(after: RowKey | undefined, limit: number): Promise<readonly RowKey[]> {
    return slice(this.#rowKeys(), after === undefined ? undefined : (key) => sameRow(key, after), limit);
  }

  async missingRows(keys: readonly RowKey[]): Promise<readonly RowKey[]> {
    return keys.filter((key) => this.#row(key) === undefined);
  }

  async rowsOf(keys: readonly RowKey[], limitBytes: number): Promise<readonly Row[]> {
    const rows: Row[] = [];
    let size = 0;
    for (const key of keys) {
      const row = this.#row(key);
      invariant(row !== undefined, `a row is never deleted: ${key.conversation}#${key.firstSeq} epoch ${key.epoch}`);
      size += row.bytes.length;
      if (size > limitBytes && rows.length > 0) break;
      rows.push(row);
    }
    return rows;
  }

  async scanCheckpoints(after: string | undefined, limit: number): Promise<readonly CheckpointKey[]> {
    const isAfter = after === undefined ? undefined : (key: CheckpointKey) => key.conversation === after;
    return slice(this.#checkpointKeys(), isAfter, limit);
  }

  async checkpointKey(conversation: string): Promise<CheckpointKey | undefined> {
    const stored = this.#conversations.get(conversation)?.checkpoint;
    return stored === undefined ? undefined : { conversation, epoch: stored.epoch, seq: stored.seq };
  }

  async scanCursors(after: CursorKey | undefined, limit: number): Promise<readonly StoredCursor[]> {
    const cursors = Array.from(this.#cursors, ([key, position]) => {
      const [conversation, consumer] = key.split("\0") as [string, string];
      return { cursor: { conversation, consumer }, position };
    });
    const isAfter = after === undefined ? undefined : ({ cursor }: StoredCursor) => cursorKey(cursor) === cursorKey(after);
    return slice(cursors, isAfter, limit);
  }

  async epochMarks(): Promise<readonly EpochMark[]> {
    return Array.from(this.#epochMarks, ([shard, epoch]) => ({ shard, epoch }));
  }

  *#rowKeys(): Generator<RowKey> {
    for (const { buckets } of this.#conversations.values()) {
      for (const bucket of [...buckets].sort(([a], [b]) => a - b).map(([, kept]) => kept)) {
        for (const firstSeq of bucket.firstSeqs) {
          for (const { conversation, epoch } of bucket.rows.get(firstSeq) ?? []) yield { conversation, firstSeq, epoch };
        }
      }
    }
  }

  *#checkpointKeys(): Generator<CheckpointKey> {
    for (const [conversation, { checkpoint }] of this.#conversations) {
      if (checkpoint !== undefined) yield { conversation, epoch: checkpoint.epoch, seq: checkpoint.seq };
    }
  }

  #row(key: RowKey): Row | undefined {
    const bucket = this.#conversations.get(key.conversation)?.buckets.get(bucketOf(key.firstSeq));
    return bucket?.rows.get(key.firstSeq)?.find((row) => row.epoch === key.epoch);
  }

  #conversation(name: string): Conversation {
    let conversation = this.#conversations.get(name);
    if (conversation === undefined) {
      conversation = { buckets: new Map(), checkpoint: undefined };
      this.#conversations.set(name, conversation);
    }
    return conversation;
  }

  #bucket(name: string, seq: number): Bucket {
    const { buckets } = this.#conversation(name);
    let bucket = buckets.get(bucketOf(seq));
    if (bucket === undefined) {
      bucket = { firstSeqs: [], rows: new Map() };
      buckets.set(bucketOf(seq), bucket);
    }
    return bucket;
  }
}

interface Conversation {
  readonly buckets: Map<number, Bucket>;
  /** The highest epoch's, of it the highest seq: no other is ever asked for. */
  checkpoint: StoredCheckpoint | undefined;
}

interface Bucket {
  /** In ascending order. */
  readonly firstSeqs: number[];
  /** Per firstSeq the rows of all epochs, in ascending order of epoch. */
  readonly rows: Map<number, Row[]>;
}

function bucketOf(seq: number): number {
  return Math.floor((seq - 1) / LIMITS.bucketMessages);
}

/** Names have no control characters, so NUL separates them. */
function cursorKey(cursor: CursorKey): string {
  return `${cursor.conversation}\0${cursor.consumer}`;
}

function insert<T>(sorted: T[], item: T, isBefore: (other: T) => boolean): void {
  sorted.splice(position(sorted, isBefore), 0, item);
}

/** How many items at the front of the sorted list satisfy `isBefore`. */
function position<T>(sorted: readonly T[], isBefore: (other: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(sorted[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sameRow(a: RowKey, b: RowKey): boolean {
  return a.conversation === b.conversation && a.firstSeq === b.firstSeq && a.epoch === b.epoch;
}

/** At most `limit` items behind the one that `isAfter` knows; from the beginning without it. */
function slice<T>(items: Iterable<T>, isAfter: ((item: T) => boolean) | undefined, limit: number): T[] {
  const found: T[] = [];
  let reached = isAfter === undefined;
  for (const item of items) {
    if (reached) found.push(item);
    else reached = isAfter?.(item) === true;
    if (found.length === limit) break;
  }
  return found;
}
