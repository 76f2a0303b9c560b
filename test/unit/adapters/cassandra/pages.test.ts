import { describe, expect, it } from "vitest";
import { type FetchRows, readPage } from "../../../../src/adapters/cassandra/pages.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { Row } from "../../../../src/ports/log-store.ts";

const MIB = 1024 * 1024;

/** A bucket, and what was asked of it. */
function bucketOf(...sizes: readonly number[]) {
  const rows = sizes.map((size, at): Row => ({ conversation: "a", firstSeq: at + 1, epoch: 7n, bytes: new Uint8Array(size) }));
  const limits: number[] = [];
  const fetch: FetchRows = async (after, limit) => {
    limits.push(limit);
    const isBehind = (row: Row) => row.firstSeq > after.firstSeq || (row.firstSeq === after.firstSeq && row.epoch > after.epoch);
    return rows.filter(isBehind).slice(0, limit);
  };
  return { rows, limits, fetch };
}

describe("a page of rows from Cassandra", () => {
  it("asks at first only for what certainly fits, and then for what the rows so far suggest", async () => {
    const { rows, limits, fetch } = bucketOf(...Array.from({ length: 2_000 }, () => 100));
    expect(await readPage(1, MIB, fetch)).toEqual({ rows, more: false });
    expect(limits.slice(0, 4)).toEqual([5, 20, 80, LIMITS.cassandraPageRows]);
    expect(Math.max(...limits)).toBe(LIMITS.cassandraPageRows);
  });

  it("asks for few rows while they are large", async () => {
    const { limits, fetch } = bucketOf(...Array.from({ length: 100 }, () => LIMITS.batchBytes));
    expect(await readPage(1, MIB, fetch)).toMatchObject({ rows: { length: 4 }, more: true });
    expect(limits).toEqual([5]);
  });

  it("goes on behind the last row's key, so that a cut between two epochs of one seq loses neither", async () => {
    const epochs = [1n, 2n, 3n, 4n];
    const rows = [1, 2].flatMap((firstSeq) =>
      epochs.map((epoch): Row => ({ conversation: "a", firstSeq, epoch, bytes: new Uint8Array(10) })),
    );
    const fetch: FetchRows = async (after, limit) => {
      const at = rows.findIndex((row) => row.firstSeq === after.firstSeq && row.epoch === after.epoch);
      return rows.slice(at + 1, at + 1 + limit);
    };
    expect(await readPage(1, 1, fetch)).toEqual({ rows: rows.slice(0, 4), more: true });
  });

  it("of an empty bucket is empty after one question", async () => {
    const { limits, fetch } = bucketOf();
    expect(await readPage(1, 1, fetch)).toEqual({ rows: [], more: false });
    expect(limits).toEqual([2]);
  });
});
