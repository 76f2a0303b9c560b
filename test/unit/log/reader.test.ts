import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type Batch, EMPTY, encodeBatch, type Watermark } from "../../../src/log/batch.ts";
import { LogReader } from "../../../src/log/reader.ts";
import type { LogStore, Page, ReadLevel, ReadOptions } from "../../../src/ports/log-store.ts";
import { batchAfter, CONVERSATION, endOf, entry, put } from "../../support/chains.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

/** One set of rows a level: what the near replicas have, what a quorum has, what all have together. */
class Replicas implements Pick<LogStore, "read"> {
  readonly local = new MemoryLogStore();
  readonly quorum = new MemoryLogStore();
  readonly all = new MemoryLogStore();
  readonly reads: { readonly level: ReadLevel; readonly fromSeq: number }[] = [];

  async read(conversation: string, fromSeq: number, options: ReadOptions): Promise<Page> {
    this.reads.push({ level: options.level, fromSeq });
    return this[options.level].read(conversation, fromSeq, options);
  }

  async everywhere(epoch: bigint, ...batches: readonly Batch[]): Promise<void> {
    for (const store of [this.local, this.quorum, this.all]) await put(store, epoch, ...batches);
  }
}

describe("the log's reader", () => {
  let replicas: Replicas;
  let telemetry: MemoryTelemetry;
  let reader: LogReader;

  beforeEach(() => {
    replicas = new Replicas();
    telemetry = new MemoryTelemetry();
    reader = new LogReader({ store: replicas, telemetry });
  });

  const page = (after: number, known: Watermark, limitBytes?: number) => reader.page(CONVERSATION, after, known, limitBytes);
  const hashes = async (after: number, known: Watermark, limitBytes?: number) =>
    (await page(after, known, limitBytes)).map(({ hash }) => hash);

  describe("shows the chain", () => {
    const batches = chainOf(EMPTY, ["a", "b"], ["c"], ["d", "e", "f"], ["g"]);
    const head = endOf(last(batches));

    it("from the batch that holds the next seq up to the known watermark [R5]", async () => {
      await replicas.everywhere(3n, ...batches);
      expect(await page(0, head)).toEqual(batches);
      expect(await hashes(2, head)).toEqual(hashesOf(batches.slice(1)));
      expect(await hashes(6, head)).toEqual(hashesOf(batches.slice(3)));
      expect(await hashes(0, endOf(batches[1] as Batch))).toEqual(hashesOf(batches.slice(0, 2)));
    });

    it("from a batch that begins before the next seq", async () => {
      await replicas.everywhere(3n, ...batches);
      expect(await hashes(1, head)).toEqual(hashesOf(batches));
      expect(await hashes(5, head)).toEqual(hashesOf(batches.slice(2)));
    });

    it("from a batch that begins as far before the next seq as a batch can", async () => {
      const start: Watermark = { seq: 1_000, hash: "5".repeat(32) };
      const full = batchOf(start, LIMITS.batchMessages, "full", undefined);
      await replicas.everywhere(3n, full);
      expect(await hashes(full.lastSeq - 1, endOf(full))).toEqual([full.hash]);
      expect(telemetry.counters.size).toBe(0);
    });

    it("as nothing, without reading, where nothing is known to follow", async () => {
      await replicas.everywhere(3n, ...batches);
      expect(await page(7, head)).toEqual([]);
      expect(await page(9, head)).toEqual([]);
      expect(replicas.reads).toEqual([]);
    });

    it("with one near read where a batch begins at the next seq", async () => {
      await replicas.everywhere(3n, ...batches);
      await page(2, head);
      expect(replicas.reads).toEqual([{ level: "local", fromSeq: 3 }]);
      expect(telemetry.counters.size).toBe(0);
    });

    it("in pages of about limitBytes, but of one batch at least", async () => {
      await replicas.everywhere(3n, ...batches);
      expect(await hashes(0, head, 1)).toEqual(hashesOf(batches.slice(0, 1)));
      const two = (batches[0] as Batch).bytes.length + (batches[1] as Batch).bytes.length;
      expect(await hashes(0, head, two)).toEqual(hashesOf(batches.slice(0, 2)));
      expect(await hashes(0, head, two + 1)).toEqual(hashesOf(batches.slice(0, 2)));
    });

    it("up to the highest watermark that its own chain reaches, when the known one is far away [R5]", async () => {
      const long = await pipelined(200);
      await replicas.everywhere(3n, ...long);
      const shown = await page(0, endOf(last(long)), 20_000);
      expect(shown.length).toBeGreaterThan(5);
      expect(hashesOf(shown)).toEqual(hashesOf(long.slice(0, shown.length)));
    });
  });

  describe("does not show", () => {
    const batches = chainOf(EMPTY, ["a", "b"], ["c"], ["d"]);
    const head = endOf(last(batches));

    it("a zombie's row beside the true one, though its epoch is higher [R5]", async () => {
      await replicas.everywhere(3n, ...batches);
      await replicas.everywhere(9n, batchAfter(endOf(batches[0] as Batch), ["zombie"]), batchAfter(EMPTY, ["x", "y"]));
      expect(await page(0, head)).toEqual(batches);
      expect(await page(2, head)).toEqual(batches.slice(1));
    });

    it("a dead row that begins before the next seq and reaches beyond it [R5]", async () => {
      await replicas.everywhere(3n, ...batches);
      await replicas.everywhere(9n, batchAfter(EMPTY, ["x", "y", "z", "z"]));
      expect(await hashes(1, head)).toEqual(hashesOf(batches));
      expect(await hashes(3, head)).toEqual(hashesOf(batches.slice(2)));
    });

    it("a row above the known watermark, though it chains on [R5]", async () => {
      await replicas.everywhere(3n, ...batches, batchAfter(head, ["not yet committed"]));
      expect(await page(0, head)).toEqual(batches);
    });

    it("a row twice that was written again by a later leader [R2]", async () => {
      await replicas.everywhere(3n, ...batches);
      await replicas.everywhere(4n, ...batches);
      expect(await hashes(0, head)).toEqual(hashesOf(batches));
    });
  });

  it("finds the true rows behind three dead pipelines that are larger than the page", async () => {
    const big = "x".repeat(60_000);
    const before = chainOf(EMPTY, ["a"]);
    const base = endOf(last(before));
    // Each of the leaders wrote eight batches, none of which was committed.
    for (const epoch of [5n, 6n, 7n]) {
      const texts = Array.from({ length: 8 }, (_, i) => [`${epoch} ${i} ${big}`]);
      await replicas.everywhere(epoch, ...chainOf(base, ...texts));
    }
    const committed = chainOf(base, ...Array.from({ length: 10 }, (_, i) => [`${i} ${big}`]));
    await replicas.everywhere(8n, ...before, ...committed);
    expect(await hashes(1, endOf(last(committed)), 1)).toEqual(hashesOf(committed.slice(0, 1)));
  });

  describe("across buckets", () => {
    const border = LIMITS.bucketMessages;
    /** The messages below the border are not asked for, and need not be there. */
    const start: Watermark = { seq: border - 5, hash: "5".repeat(32) };
    const batches = chainOf(start, ["a", "b"], ["c", "d", "e"], ["f"], ["g", "h"]);

    it("goes on in the next one", async () => {
      await replicas.everywhere(3n, ...batches);
      expect(await hashes(start.seq, endOf(last(batches)))).toEqual(hashesOf(batches));
      expect(await hashes(border, endOf(last(batches)))).toEqual(hashesOf(batches.slice(2)));
      expect(await hashes(border - 1, endOf(last(batches)))).toEqual(hashesOf(batches.slice(1)));
    });

    it("does not look into the bucket before the next seq's", async () => {
      await replicas.everywhere(3n, ...batches);
      await page(border, endOf(last(batches)));
      expect(replicas.reads.every(({ fromSeq }) => fromSeq > border)).toBe(true);
    });

    it("takes the watermark that proves a bucket's last rows from the next bucket", async () => {
      const first = chainOf({ seq: border - 1, hash: "5".repeat(32) }, ["last"]);
      const next = batchAfter(endOf(last(first)), ["first"], endOf(last(first)));
      await replicas.everywhere(3n, ...first, next);
      const far: Watermark = { seq: 10 * border, hash: "9".repeat(32) };
      expect(await hashes(border - 1, far)).toEqual(hashesOf(first));
    });

    it("does not walk through all buckets for rows that are missing", async () => {
      await expect(page(0, { seq: 1_000 * border, hash: "9".repeat(32) })).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(replicas.reads.length).toBeLessThan(10);
    });
  });

  describe("with a stale replica near by", () => {
    const batches = chainOf(EMPTY, ["a"], ["b"], ["c"]);
    const head = endOf(last(batches));

    it("reads what is missing at a quorum, and counts it [R5]", async () => {
      await put(replicas.local, 3n, batches[0] as Batch, batches[2] as Batch);
      await put(replicas.quorum, 3n, ...batches);
      expect(await hashes(0, head)).toEqual(hashesOf(batches));
      expect([...telemetry.counters]).toEqual([["log.reads.quorum", 1]]);
    });

    it("shows what the near rows prove before it asks further", async () => {
      const [a, b, c] = batches as [Batch, Batch, Batch];
      await put(replicas.local, 3n, a, batchAfter(endOf(a), ["dead"], endOf(a)), c);
      await put(replicas.quorum, 3n, ...batches);
      expect(await hashes(0, head)).toEqual([a.hash]);
      expect(telemetry.counters.size).toBe(0);
      expect(await hashes(1, head)).toEqual([b.hash, c.hash]);
    });

    it("reads every replica where a quorum lacks a row", async () => {
      await put(replicas.all, 3n, ...batches);
      expect(await hashes(1, head)).toEqual(hashesOf(batches.slice(1)));
      expect([...telemetry.counters]).toEqual([
        ["log.reads.quorum", 1],
        ["log.reads.all", 1],
      ]);
    });

    it("puts together what different replicas have", async () => {
      await put(replicas.local, 3n, batches[0] as Batch);
      await put(replicas.quorum, 3n, batches[1] as Batch);
      await put(replicas.all, 3n, batches[2] as Batch);
      expect(await hashes(0, head)).toEqual(hashesOf(batches));
    });

    it("says UNAVAILABLE, and what to do, where a row is missing everywhere", async () => {
      await replicas.everywhere(3n, batches[0] as Batch, batches[2] as Batch);
      await expect(page(0, head)).rejects.toMatchObject({
        code: "UNAVAILABLE",
        advice: expect.stringContaining("repair"),
        details: { conversation: CONVERSATION, seq: "1", known: "3" },
      });
    });
  });

  describe("with a damaged row", () => {
    const batches = chainOf(EMPTY, ["a"], ["b"], ["c"]);
    const head = endOf(last(batches));
    const [a, b, c] = batches as [Batch, Batch, Batch];
    const damaged = { ...b, bytes: Uint8Array.from(b.bytes).fill(7, 12, 20) };

    it("takes the same batch of another epoch, and counts the damage", async () => {
      await replicas.everywhere(3n, a, damaged, c);
      await replicas.everywhere(4n, b);
      expect(await hashes(0, head)).toEqual(hashesOf(batches));
      expect(telemetry.counters.get("log.rows.damaged")).toBe(1);
      expect(telemetry.lines).toMatchObject([{ level: "error", event: "log.row_damaged", fields: { firstSeq: 2, epoch: 3n } }]);
    });

    it("takes the same batch of another replica", async () => {
      await put(replicas.local, 3n, a, damaged, c);
      await put(replicas.quorum, 3n, ...batches);
      expect(await hashes(0, head)).toEqual(hashesOf(batches));
    });

    it("says CORRUPT, never that it is missing, where no row serves", async () => {
      await replicas.everywhere(3n, a, damaged, c);
      await expect(page(0, head)).rejects.toMatchObject({ code: "CORRUPT", details: { firstSeq: "2", epoch: "3" } });
    });

    it("does not take the whole batch of another seq for it", async () => {
      await replicas.everywhere(3n, a, { ...b, bytes: c.bytes }, c);
      await expect(page(0, head)).rejects.toMatchObject({ code: "CORRUPT", details: { firstSeq: "2" } });
    });

    it("that is dead anyway shows the log all the same", async () => {
      await replicas.everywhere(3n, ...batches);
      await replicas.everywhere(9n, damaged);
      expect(await hashes(0, head)).toEqual(hashesOf(batches));
    });
  });

  describe("stops for a fork and names both hashes", () => {
    const batches = chainOf(EMPTY, ["a"], ["b"]);
    const [a, b] = batches as [Batch, Batch];
    const forked = batchAfter(endOf(a), ["B"]);

    it("between the known watermark and a row's [R5]", async () => {
      await replicas.everywhere(3n, ...batches, batchAfter(endOf(b), ["c"], endOf(b)));
      await expect(page(0, endOf(forked))).rejects.toMatchObject({
        code: "CORRUPT",
        details: { conversation: CONVERSATION, seq: "2", hash: forked.hash, otherHash: b.hash },
      });
      expect(telemetry.events()).toContain("log.fork");
    });

    it("between two rows' [R5]", async () => {
      const c = batchAfter(endOf(b), ["c"], endOf(b));
      await replicas.everywhere(3n, ...batches, c);
      await replicas.everywhere(4n, batchAfter(endOf(forked), ["C"], endOf(forked)));
      await expect(page(0, endOf(c))).rejects.toMatchObject({ code: "CORRUPT", details: { seq: "2" } });
    });
  });

  it("answers exactly the committed chain, whatever dead rows stand around it, wherever it is asked [R5] [G1]", async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async ({ chain, near, dead, after, known, limitBytes }) => {
        const { store, batches } = await build(chain, near, dead);
        const counted = new MemoryTelemetry();
        const read = new LogReader({ store, telemetry: counted });
        const head = endOf(batches[known % batches.length] as Batch);
        const first = (batches[0] as Batch).firstSeq;
        let position = first - 1 + (after % (head.seq - first + 1));
        while (position < head.seq) {
          const shown = await read.page(CONVERSATION, position, head, limitBytes);
          const at = batches.findIndex(({ lastSeq }) => lastSeq > position);
          expect(shown.length).toBeGreaterThan(0);
          expect(hashesOf(shown)).toEqual(hashesOf(batches.slice(at, at + shown.length)));
          position = last(shown).lastSeq;
        }
        expect(position).toBe(head.seq);
        expect(counted.events()).not.toContain("log.fork");
      }),
      { numRuns: 150 },
    );
  });
});

interface ChainSpec {
  readonly entries: number;
  /** How many batches the leader was ahead of its watermark. */
  readonly lag: number;
  /** Under how many epochs it stands. */
  readonly copies: number;
}

interface DeadSpec {
  /** After which of the chain's batches. */
  readonly on: number;
  readonly entries: readonly number[];
  readonly epoch: number;
  readonly damaged: boolean;
}

const worlds = fc.record({
  chain: fc.array(
    fc.record({
      entries: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.integer({ min: 1, max: 128 })),
      lag: fc.integer({ min: 0, max: LIMITS.batchesInFlight }),
      copies: fc.integer({ min: 1, max: 3 }),
    }),
    { minLength: 1, maxLength: 25 },
  ),
  /** Whether the near replica has each row; what is left out of the list is there. */
  near: fc.array(fc.boolean(), { maxLength: 60 }),
  dead: fc.array(
    fc.record({
      on: fc.nat(),
      entries: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
      epoch: fc.integer({ min: 1, max: 50 }),
      damaged: fc.boolean(),
    }),
    { maxLength: 8 },
  ),
  after: fc.nat(),
  known: fc.nat(),
  limitBytes: fc.constantFrom(1, 500, 5_000, 1_000_000),
});

/** A chain that crosses a bucket's border, cut there as a leader cuts it, with dead leaders' branches beside it. */
async function build(chain: readonly ChainSpec[], near: readonly boolean[], dead: readonly DeadSpec[]) {
  const store = new Replicas();
  const batches: Batch[] = [];
  let row = 0;
  const write = async (epoch: bigint, batch: Batch) => {
    await put(store.quorum, epoch, batch);
    if (near[row++] !== false) await put(store.local, epoch, batch);
  };
  let before: Watermark = { seq: LIMITS.bucketMessages - 40, hash: "5".repeat(32) };
  for (const [index, { entries, lag, copies }] of chain.entries()) {
    const watermark = batches[index - 1 - lag];
    const batch = batchOf(before, cutAtBucket(before.seq, entries), `true ${index}`, watermark && endOf(watermark));
    batches.push(batch);
    for (let copy = 0; copy < copies; copy++) await write(BigInt(100 + 10 * copy), batch);
    before = endOf(batch);
  }
  for (const [index, { on, entries, epoch, damaged }] of dead.entries()) {
    const base = on % batches.length;
    let tip = endOf(batches[base] as Batch);
    for (const count of entries) {
      const watermark = endOf(batches[Math.max(0, base - (epoch % 8))] as Batch);
      const batch = batchOf(tip, cutAtBucket(tip.seq, count), `dead ${index}`, watermark);
      const bytes = damaged ? Uint8Array.from(batch.bytes).reverse() : batch.bytes;
      await write(BigInt(1_000 + 50 * index + epoch), { ...batch, bytes });
      tip = endOf(batch);
    }
  }
  return { store, batches };
}

function cutAtBucket(before: number, entries: number): number {
  const bucketEnd = Math.ceil((before + 1) / LIMITS.bucketMessages) * LIMITS.bucketMessages;
  return Math.min(entries, bucketEnd - before);
}

function batchOf(before: Watermark, entries: number, text: string, watermark: Watermark | undefined): Batch {
  return encodeBatch({
    conversation: CONVERSATION,
    firstSeq: before.seq + 1,
    firstId: BigInt(1_000 * before.seq),
    prevHash: before.hash,
    entries: Array.from({ length: entries }, (_, i) => entry(i, text)),
    watermark: watermark ?? EMPTY,
  });
}

/** Batches that carry no watermark, one after the other. */
function chainOf(before: Watermark, ...texts: readonly (readonly string[])[]): Batch[] {
  const batches: Batch[] = [];
  for (const text of texts) batches.push(batchAfter(batches.length === 0 ? before : endOf(last(batches)), text));
  return batches;
}

/** As a busy leader leaves it: each batch carries the watermark of the one eight before. */
async function pipelined(count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) {
    const known = batches[i - LIMITS.batchesInFlight];
    batches.push(batchOf(i === 0 ? EMPTY : endOf(last(batches)), 3, `message ${i} ${"x".repeat(100)}`, known && endOf(known)));
  }
  return batches;
}

function last<T>(items: readonly T[]): T {
  return items.at(-1) as T;
}

function hashesOf(batches: readonly Batch[]): string[] {
  return batches.map(({ hash }) => hash);
}
