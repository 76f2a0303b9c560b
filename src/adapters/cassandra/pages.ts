/**
 * Rows of one bucket, up to so many bytes.
 *
 * Cassandra counts pages in rows, and a row may have fifty bytes or a megabyte. So the first statement asks only for what
 * certainly fits, and each one after it for as many rows as those before suggest.
 *
 * Tempting: the server's own paging, whose state the driver hands back for the next page. But that state belongs to the
 * version and the replicas that made it. Here each statement stands for itself and begins above the last row's key: any
 * node answers it, as often as needed, and at QUORUM each holds every row that was committed before it was sent. Rows
 * that are missing at one level are the reader's business: it proves the chain.
 */
import { LIMITS } from "../../kernel/limits.ts";
import type { Page, Row } from "../../ports/log-store.ts";

/** The next rows behind a key, in order; fewer than `limit` only at the bucket's end. */
export type FetchRows = (after: RowPosition, limit: number) => Promise<readonly Row[]>;

export interface RowPosition {
  readonly firstSeq: number;
  readonly epoch: bigint;
}

/** How much faster than the rows before would suggest the next statement may ask. */
const GROWTH = 4;

export async function readPage(fromSeq: number, limitBytes: number, fetch: FetchRows): Promise<Page> {
  const rows: Row[] = [];
  let bytes = 0;
  // Above all epochs of the seq before.
  let after: RowPosition = { firstSeq: fromSeq - 1, epoch: 2n ** 63n - 1n };
  // One more than fits, to see whether there is more.
  for (let limit = 1 + Math.ceil(limitBytes / LIMITS.batchBytes); ; ) {
    const found = await fetch(after, limit);
    for (const row of found) {
      if (bytes >= limitBytes && row.firstSeq !== rows.at(-1)?.firstSeq) return { rows, more: true };
      rows.push(row);
      bytes += row.bytes.length;
      after = row;
    }
    if (found.length < limit) return { rows, more: false };
    const expected = 1 + Math.ceil((Math.max(0, limitBytes - bytes) * rows.length) / Math.max(1, bytes));
    limit = Math.min(expected, GROWTH * limit, LIMITS.cassandraPageRows);
  }
}
