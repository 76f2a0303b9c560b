import type { CursorKey, CursorPosition, LogStore, Row } from "../../ports/log-store.ts";

/**
 * A log store that is one of several replicas, so it can also be walked from end to end and compared with another. Each
 * walks in an order of its own, which stays the same: what is written behind a walk was written to the other replicas too.
 */
export interface Replica extends LogStore {
  /** The keys of rows after `after`, at most `limit`; fewer at the end. Throws UNAVAILABLE. */
  scanRows(after: RowKey | undefined, limit: number): Promise<readonly RowKey[]>;

  /** Those of the keys that it has no row of, in their order. Throws UNAVAILABLE. */
  missingRows(keys: readonly RowKey[]): Promise<readonly RowKey[]>;

  /** The rows of the first keys, which all are in it: up to `limitBytes`, but at least one. Throws UNAVAILABLE. */
  rowsOf(keys: readonly RowKey[], limitBytes: number): Promise<readonly Row[]>;

  /** Each conversation's newest checkpoint without its bytes, as `scanRows`. */
  scanCheckpoints(after: string | undefined, limit: number): Promise<readonly CheckpointKey[]>;

  /** That of one conversation. */
  checkpointKey(conversation: string): Promise<CheckpointKey | undefined>;

  /** The cursors with their positions, as `scanRows`. */
  scanCursors(after: CursorKey | undefined, limit: number): Promise<readonly StoredCursor[]>;

  /** Every shard's mark that is not 0. There are no more of them than shards in a region. */
  epochMarks(): Promise<readonly EpochMark[]>;
}

export type RowKey = Omit<Row, "bytes">;

export interface CheckpointKey {
  readonly conversation: string;
  readonly epoch: bigint;
  readonly seq: number;
}

export interface StoredCursor {
  readonly cursor: CursorKey;
  readonly position: CursorPosition;
}

export interface EpochMark {
  readonly shard: number;
  readonly epoch: bigint;
}
