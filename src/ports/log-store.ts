/**
 * The durable log of all conversations, as Cassandra can give it: it keeps rows, it fences nobody. A write of unknown
 * outcome may take effect at any later time. Which rows count is decided by chain and epoch in `log/` and `sequencer/`.
 */
export interface LogStore {
  /**
   * Writes one batch at QUORUM over all regions' replicas, on disk before "committed". Rows are never changed: the same
   * (conversation, firstSeq, epoch) is only ever written again with the same bytes. Never throws: any failure is "unknown".
   */
  append(row: Row): Promise<"committed" | "unknown">;

  /**
   * The rows of the one bucket that holds `fromSeq`, from the first with `firstSeq >= fromSeq` on, ordered by firstSeq, then
   * epoch, all epochs of a firstSeq together. Stops after `limitBytes` (but never before one firstSeq is complete): then
   * `more` is true and the caller goes on above the last firstSeq that it got. Throws UNAVAILABLE.
   */
  read(conversation: string, fromSeq: number, options: ReadOptions): Promise<Page>;

  /** R10: one payload per (conversation, epoch), the highest seq wins, whatever arrives last. QUORUM. Never throws. */
  saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed" | "unknown">;

  /** The checkpoint of the highest epoch, read at QUORUM. Throws UNAVAILABLE. */
  loadCheckpoint(conversation: string): Promise<StoredCheckpoint | undefined>;

  /** R11: merges by maximum of (generation, seq). Throws UNAVAILABLE when the outcome is unknown: saving again is harmless. */
  saveCursor(cursor: CursorKey, position: CursorPosition): Promise<void>;
  loadCursor(cursor: CursorKey): Promise<CursorPosition | undefined>;

  /** The highest epoch under which any shard numbered `shard`, in any region, was claimed; 0n if none. QUORUM. Throws UNAVAILABLE. */
  loadEpochMark(shard: number): Promise<bigint>;

  /** Raises the mark; a lower epoch than the stored one changes nothing. QUORUM. Throws UNAVAILABLE when unknown. */
  raiseEpochMark(shard: number, epoch: bigint): Promise<void>;
}

/** One batch as it is stored. The epoch stands beside the bytes, never inside: a batch written again keeps its hash (R2). */
export interface Row {
  readonly conversation: string;
  readonly firstSeq: number;
  readonly epoch: bigint;
  readonly bytes: Uint8Array;
}

export interface Page {
  readonly rows: readonly Row[];
  readonly more: boolean;
}

export interface ReadOptions {
  /** local: this region's replicas, perhaps stale. quorum: a majority over all regions. all: every replica. */
  readonly level: ReadLevel;
  readonly limitBytes: number;
}

export type ReadLevel = "local" | "quorum" | "all";

export interface StoredCheckpoint {
  readonly epoch: bigint;
  readonly seq: number;
  readonly bytes: Uint8Array;
}

export interface CursorKey {
  readonly conversation: string;
  readonly consumer: string;
}

/** A reset or rewind begins a new generation; inside a generation `seq` only grows. */
export interface CursorPosition {
  readonly generation: number;
  readonly seq: number;
}
