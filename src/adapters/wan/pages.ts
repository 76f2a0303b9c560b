import type { Page, Row } from "../../ports/log-store.ts";

export interface MergedPage {
  readonly page: Page;
  /** Rows of one seq and epoch whose bytes are not the same at all replicas. */
  readonly differing: readonly Row[];
}

/**
 * What several replicas answered to the same read, as one page. It ends where the first of them was cut short: beyond that
 * seq a replica was not asked, and to take its silence for "no row" would lose what only it has.
 */
export function mergePages(pages: readonly Page[], limitBytes: number): MergedPage {
  const end = Math.min(...pages.map(coveredTo));
  const all = pages.flatMap(({ rows }) => rows).filter((row) => row.firstSeq <= end);
  const differing: Row[] = [];
  const rows: Row[] = [];
  /** The different bytes that were met at one seq and epoch: which are the true ones, the chain decides (R5). */
  let variants: Row[] = [];
  for (const row of all.sort(byKey)) {
    if (variants[0] === undefined || byKey(variants[0], row) !== 0) variants = [];
    if (variants.some((other) => Buffer.compare(other.bytes, row.bytes) === 0)) continue;
    if (variants.length > 0) differing.push(row);
    variants.push(row);
    rows.push(row);
  }
  const cut = cutAt(rows, limitBytes);
  return { page: { rows: rows.slice(0, cut), more: cut < rows.length || end !== Number.POSITIVE_INFINITY }, differing };
}

/** Up to this seq the replica has shown everything; all of the bucket when there is no more. */
function coveredTo({ rows, more }: Page): number {
  return more ? (rows.at(-1)?.firstSeq ?? 0) : Number.POSITIVE_INFINITY;
}

/** How many rows fill the page: up to the limit, and all epochs of the last seq. */
function cutAt(rows: readonly Row[], limitBytes: number): number {
  let bytes = 0;
  const end = rows.findIndex((row, index) => {
    const full = bytes >= limitBytes && index > 0 && row.firstSeq !== rows[index - 1]?.firstSeq;
    bytes += row.bytes.length;
    return full;
  });
  return end < 0 ? rows.length : end;
}

function byKey(a: Row, b: Row): number {
  if (a.firstSeq !== b.firstSeq) return a.firstSeq - b.firstSeq;
  if (a.epoch === b.epoch) return 0;
  return a.epoch < b.epoch ? -1 : 1;
}
