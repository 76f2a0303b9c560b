import { invariant } from "../src/kernel/errors.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import type { Row } from "../src/ports/log-store.ts";

/** A value that only grows: of two the one with the higher stamp stays, in the order of their parts. */
export interface Cell {
  readonly stamp: readonly [bigint, number];
  readonly bytes: Uint8Array;
  /** When it was written, by the store's clock, which steps: nothing may depend on it. */
  readonly writtenAtMs: number;
}

/** Takes back what a write did. */
export type Undo = () => void;

/**
 * One replica of the store, which takes whatever comes and fences nobody. What was written is seen at once and is on disk
 * only after a while; then the write is confirmed. Power loss takes back what was not on disk.
 */
export class Replica {
  readonly place: string;
  readonly #rows = new Map<string, Row[]>();
  readonly #cells = new Map<string, Cell>();
  readonly #unsynced = new Set<Undo>();
  /** Parts of the names of rows that it gives back damaged. */
  readonly #damaged = new Set<string>();
  /** Who has forbidden it to answer: faults that overlap. */
  #down = 0;
  #powerCycles = 0;

  constructor(place: string) {
    this.place = place;
  }

  get up(): boolean {
    return this.#down === 0;
  }

  /** Counts the losses of power: what was under way before one is not confirmed after it. */
  get powerCycles(): number {
    return this.#powerCycles;
  }

  stop(): void {
    this.#down += 1;
  }

  start(): void {
    this.#down -= 1;
  }

  losePower(): number {
    const lost = [...this.#unsynced].reverse();
    for (const undo of lost) undo();
    this.#unsynced.clear();
    this.#powerCycles += 1;
    return lost.length;
  }

  /** Another disk, empty, takes the place of the old one, and nobody repairs. */
  loseDisk(): void {
    this.losePower();
    this.#rows.clear();
    this.#cells.clear();
  }

  /** Until the answer is called, rows whose `conversation#seq` holds this come back with a wrong byte. */
  damage(about: string): Undo {
    this.#damaged.add(about);
    return () => this.#damaged.delete(about);
  }

  writeRow(row: Row): Undo {
    const rows = this.#rows.get(row.conversation) ?? [];
    this.#rows.set(row.conversation, rows);
    let at = rows.length;
    while (at > 0 && isAfter(rows[at - 1] as Row, row)) at -= 1;
    const same = rows[at - 1];
    if (same?.firstSeq === row.firstSeq && same.epoch === row.epoch) {
      invariant(
        Buffer.compare(same.bytes, row.bytes) === 0,
        `two rows at ${row.conversation}#${row.firstSeq}, epoch ${row.epoch}`,
      );
      return () => {};
    }
    rows.splice(at, 0, row);
    return this.#until(() => rows.splice(rows.indexOf(row), 1));
  }

  writeCell(key: string, cell: Cell): Undo {
    const before = this.#cells.get(key);
    if (before !== undefined && !isHigher(cell, before)) return () => {};
    this.#cells.set(key, cell);
    return this.#until(() => {
      // Something higher may have come meanwhile, and stays.
      if (this.#cells.get(key) !== cell) return;
      if (before === undefined) this.#cells.delete(key);
      else this.#cells.set(key, before);
    });
  }

  /** It is on disk now. */
  synced(undo: Undo): void {
    this.#unsynced.delete(undo);
  }

  /** The rows of the bucket that holds `fromSeq`, from there on. */
  rows(conversation: string, fromSeq: number): readonly Row[] {
    const end = Math.ceil(fromSeq / LIMITS.bucketMessages) * LIMITS.bucketMessages;
    const rows = (this.#rows.get(conversation) ?? []).filter(({ firstSeq }) => firstSeq >= fromSeq && firstSeq <= end);
    return this.#damaged.size === 0 ? rows : rows.map((row) => (this.#isDamaged(row) ? withWrongByte(row) : row));
  }

  #isDamaged({ conversation, firstSeq }: Row): boolean {
    return [...this.#damaged].some((about) => `${conversation}#${firstSeq}`.includes(about));
  }

  cell(key: string): Cell | undefined {
    return this.#cells.get(key);
  }

  #until(undo: Undo): Undo {
    this.#unsynced.add(undo);
    return undo;
  }
}

/** In the middle, where the messages are: what the row says of itself can still be read. */
function withWrongByte(row: Row): Row {
  const bytes = Uint8Array.from(row.bytes);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return { ...row, bytes };
}

export function isHigher(one: Cell, other: Cell): boolean {
  const [[a, b], [c, d]] = [one.stamp, other.stamp];
  return a > c || (a === c && b > d);
}

export function isAfter(one: Row, other: Row): boolean {
  return one.firstSeq > other.firstSeq || (one.firstSeq === other.firstSeq && one.epoch > other.epoch);
}
