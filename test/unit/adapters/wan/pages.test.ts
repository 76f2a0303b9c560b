import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryLogStore } from "../../../../src/adapters/memory/log-store.ts";
import { mergePages } from "../../../../src/adapters/wan/pages.ts";
import type { Row } from "../../../../src/ports/log-store.ts";
import { row } from "./three-regions.ts";

const keys = (rows: readonly Row[]) => rows.map(({ firstSeq, epoch }) => `${firstSeq}/${epoch}`);

describe("pages of several replicas as one", () => {
  it("hold what any of them has, once, in the order of seq and epoch", () => {
    const { page } = mergePages(
      [
        { rows: [row(1), row(2, 1n), row(9)], more: false },
        { rows: [row(2, 1n), row(2, 5n), row(4)], more: false },
      ],
      1_000,
    );
    expect(keys(page.rows)).toEqual(["1/1", "2/1", "2/5", "4/1", "9/1"]);
    expect(page.more).toBe(false);
  });

  it("end where the first of them was cut short, for it may have more right behind", () => {
    const { page } = mergePages(
      [
        { rows: [row(1), row(5)], more: true },
        { rows: [row(3), row(5, 2n), row(6), row(9)], more: false },
      ],
      1_000,
    );
    expect(keys(page.rows)).toEqual(["1/1", "3/1", "5/1", "5/2"]);
    expect(page.more).toBe(true);
  });

  it("end at the limit too, with all epochs of the last seq", () => {
    const body = "x".repeat(100);
    const { page } = mergePages(
      [
        { rows: [row(1, 1n, body), row(3, 1n, body)], more: false },
        { rows: [row(2, 1n, body), row(2, 2n, body), row(3, 1n, body)], more: false },
      ],
      150,
    );
    expect(keys(page.rows)).toEqual(["1/1", "2/1", "2/2"]);
    expect(page.more).toBe(true);
  });

  it("show both when replicas hold different bytes at one seq and epoch, and say so: the chain decides [R5]", () => {
    const { page, differing } = mergePages(
      [1, 2, 3].map((replica) => ({ rows: [row(1, 1n, replica === 2 ? "damaged" : "whole")], more: false })),
      1_000,
    );
    expect(page.rows.map(({ bytes }) => bytes.toString())).toEqual(["whole", "damaged"]);
    expect(keys(differing)).toEqual(["1/1"]);
  });

  it("followed to the end show every row of every replica exactly once, whatever each lacks [R6]", async () => {
    const stored = fc.record({
      firstSeq: fc.integer({ min: 1, max: 40 }),
      epoch: fc.bigInt({ min: 1n, max: 3n }),
      size: fc.integer({ min: 0, max: 60 }),
      /** A bit for each replica that has it. */
      at: fc.integer({ min: 1, max: 7 }),
    });
    const rows = fc.uniqueArray(stored, { maxLength: 60, selector: ({ firstSeq, epoch }) => `${firstSeq}/${epoch}` });
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 120 }), async (all, limitBytes) => {
        const replicas = [1, 2, 4].map((bit) => ({ bit, store: new MemoryLogStore() }));
        for (const { firstSeq, epoch, size, at } of all) {
          for (const { bit, store } of replicas) if ((at & bit) > 0) await store.append(row(firstSeq, epoch, "x".repeat(size)));
        }
        const found: Row[] = [];
        for (let from = 1, more = true; more; ) {
          const pages = replicas.map(({ store }) => store.read("standup", from, { level: "local", limitBytes }));
          const { page } = mergePages(await Promise.all(pages), limitBytes);
          found.push(...page.rows);
          more = page.more;
          from = (page.rows.at(-1)?.firstSeq ?? Number.POSITIVE_INFINITY) + 1;
        }
        const ordered = [...all].sort((a, b) => a.firstSeq - b.firstSeq || Number(a.epoch - b.epoch));
        expect(keys(found)).toEqual(ordered.map(({ firstSeq, epoch }) => `${firstSeq}/${epoch}`));
      }),
      { numRuns: 200 },
    );
  });
});
