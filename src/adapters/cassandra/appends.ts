import { LIMITS } from "../../kernel/limits.ts";
import type { Row } from "../../ports/log-store.ts";
import { bucketOf } from "./tables.ts";

/** Rows that leave together. */
interface Group {
  readonly rows: Row[];
  bytes: number;
  readonly written: Promise<unknown>;
}

/**
 * Makes one mutation of the rows that are appended to a partition in one moment, as a leader does that has just got room for
 * several batches: for Cassandra that is as much work as one row, and for each replica it is all or nothing.
 *
 * Few rows only: those that leave together arrive together, and a leader whose batches were all in one mutation would have
 * nothing on its way while it makes the next ones.
 */
export class Appends {
  readonly #send: (rows: readonly Row[]) => Promise<unknown>;
  /** By partition: what leaves at the end of this moment. */
  readonly #leaving = new Map<string, Group>();

  constructor(send: (rows: readonly Row[]) => Promise<unknown>) {
    this.#send = send;
  }

  /** Settles as the mutation does that the row is part of. */
  append(row: Row): Promise<unknown> {
    const partition = `${bucketOf(row.firstSeq)} ${row.conversation}`;
    const leaving = this.#leaving.get(partition);
    const group = leaving !== undefined && hasRoom(leaving, row) ? leaving : this.#begin(partition);
    group.rows.push(row);
    group.bytes += row.bytes.length;
    return group.written;
  }

  #begin(partition: string): Group {
    const rows: Row[] = [];
    const written = Promise.resolve().then(() => {
      if (this.#leaving.get(partition)?.rows === rows) this.#leaving.delete(partition);
      return this.#send(rows);
    });
    const group = { rows, bytes: 0, written };
    this.#leaving.set(partition, group);
    return group;
  }
}

function hasRoom({ rows, bytes }: Group, row: Row): boolean {
  return rows.length < LIMITS.cassandraRowsAtOnce && bytes + row.bytes.length <= LIMITS.batchBytes;
}
