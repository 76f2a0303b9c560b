import { MeridianError } from "../../kernel/errors.ts";
import type { Environment } from "./environment.ts";

/** The tables, each with the byte that its keys begin with. Never change one: it is the format on disk. */
const TABLES = { meta: 1, rows: 2, checkpoints: 3, cursors: 4, epochMarks: 5, coordinator: 6 } as const;

export type Table = keyof typeof TABLES;

export interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** One B-tree for all: a named sub-database each would dirty one more page in every transaction. */
export function prefixed(table: Table, key: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(key.length + 1);
  whole[0] = TABLES[table];
  whole.set(key, 1);
  return whole;
}

/** The value, as a copy. Throws CORRUPT. */
export function value(environment: Environment, table: Table, key: Uint8Array): Uint8Array | undefined {
  try {
    return environment.get(prefixed(table, key));
  } catch (error) {
    throw readError(error);
  }
}

/** The entries with `from <= key < to` in order; without `to` up to the table's end. Values are copies. Throws CORRUPT. */
export function* entries(environment: Environment, table: Table, from: Uint8Array, to?: Uint8Array): Generator<Entry> {
  try {
    for (const { key, value } of environment.getRange({ start: prefixed(table, from), end: endOf(table, to) })) {
      yield { key: key.subarray(1), value };
    }
  } catch (error) {
    throw readError(error);
  }
}

/** As `entries`, without reading the values. */
export function* keys(environment: Environment, table: Table, from: Uint8Array, to?: Uint8Array): Generator<Uint8Array> {
  try {
    for (const key of environment.getKeys({ start: prefixed(table, from), end: endOf(table, to) })) yield key.subarray(1);
  } catch (error) {
    throw readError(error);
  }
}

/** The last of `entries`. */
export function lastEntry(environment: Environment, table: Table, from: Uint8Array, to?: Uint8Array): Entry | undefined {
  const range = { start: endOf(table, to), exclusiveStart: true, end: prefixed(table, from), inclusiveEnd: true };
  try {
    for (const { key, value } of environment.getRange({ ...range, reverse: true, limit: 1 })) {
      return { key: key.subarray(1), value };
    }
    return undefined;
  } catch (error) {
    throw readError(error);
  }
}

function readError(error: unknown): MeridianError {
  const why = error instanceof Error ? error.message : String(error);
  return new MeridianError("CORRUPT", `the embedded database cannot be read: ${why}`, { cause: error });
}

function endOf(table: Table, to: Uint8Array | undefined): Buffer {
  return to === undefined ? Buffer.of(TABLES[table] + 1) : prefixed(table, to);
}
