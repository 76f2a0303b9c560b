import type { CursorKey, CursorPosition, LogStore, Page, ReadOptions, Row, StoredCheckpoint } from "../../src/ports/log-store.ts";

/** Shards of one scope: more than any test uses. */
const SHARDS = 1_000;

/** A part of a log store that holds nothing yet: names and shards are moved aside, so that one real store serves all tests. */
export class ScopedLogStore implements LogStore {
  readonly #store: LogStore;
  readonly #scope: number;

  constructor(store: LogStore, scope: number) {
    this.#store = store;
    this.#scope = scope;
  }

  append(row: Row): Promise<"committed" | "unknown"> {
    return this.#store.append({ ...row, conversation: this.#name(row.conversation) });
  }

  async read(conversation: string, fromSeq: number, options: ReadOptions): Promise<Page> {
    const { rows, more } = await this.#store.read(this.#name(conversation), fromSeq, options);
    return { rows: rows.map((row) => ({ ...row, conversation })), more };
  }

  saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed" | "unknown"> {
    return this.#store.saveCheckpoint(this.#name(conversation), epoch, seq, bytes);
  }

  loadCheckpoint(conversation: string): Promise<StoredCheckpoint | undefined> {
    return this.#store.loadCheckpoint(this.#name(conversation));
  }

  saveCursor(cursor: CursorKey, position: CursorPosition): Promise<void> {
    return this.#store.saveCursor({ ...cursor, conversation: this.#name(cursor.conversation) }, position);
  }

  loadCursor(cursor: CursorKey): Promise<CursorPosition | undefined> {
    return this.#store.loadCursor({ ...cursor, conversation: this.#name(cursor.conversation) });
  }

  loadEpochMark(shard: number): Promise<bigint> {
    return this.#store.loadEpochMark(this.#scope * SHARDS + shard);
  }

  raiseEpochMark(shard: number, epoch: bigint): Promise<void> {
    return this.#store.raiseEpochMark(this.#scope * SHARDS + shard, epoch);
  }

  #name(conversation: string): string {
    return `${this.#scope} ${conversation}`;
  }
}
