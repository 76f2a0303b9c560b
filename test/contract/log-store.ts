import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../src/kernel/limits.ts";
import type { LogStore, ReadLevel, Row } from "../../src/ports/log-store.ts";

/** A store without rows. */
export interface LogStoreWorld {
  readonly store: LogStore;
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
const CONVERSATION = "standup@eu-west";

/** What every log store does: only what the port promises is asked for. */
export function logStoreContract(name: string, open: () => Promise<LogStoreWorld>): void {
  describe(`the log store contract: ${name}`, () => {
    let world: LogStoreWorld;
    let store: LogStore;

    beforeEach(async () => {
      world = await open();
      store = world.store;
    });
    afterEach(() => world.close());

    const append = async (...rows: readonly Row[]) => {
      for (const row of rows) expect(await store.append(row)).toBe("committed");
    };
    const read = (fromSeq: number, options: { level?: ReadLevel; limitBytes?: number; conversation?: string } = {}) =>
      store.read(options.conversation ?? CONVERSATION, fromSeq, {
        level: options.level ?? "quorum",
        limitBytes: options.limitBytes ?? MIB,
      });
    const seqs = async (fromSeq: number, limitBytes?: number) =>
      (await read(fromSeq, limitBytes === undefined ? {} : { limitBytes })).rows.map((row) => row.firstSeq);

    describe("rows", () => {
      it("are nowhere in an empty store", async () => {
        for (const level of ["local", "quorum", "all"] as const) {
          expect(await read(1, { level })).toEqual({ rows: [], more: false });
        }
      });

      it("come back byte by byte at every level, whatever the bytes are [G2]", async () => {
        const odd = Uint8Array.of(0, 255, 254, 0xc3, 0x28, 0, 10, 0xed, 0xa0, 0x80);
        const rows = [row(1, 7n, odd), row(2, 7n, new Uint8Array(0)), row(3, 7n, allBytes())];
        await append(...rows);
        for (const level of ["local", "quorum", "all"] as const) {
          expect(plain((await read(1, { level })).rows)).toEqual(plain(rows));
        }
      });

      it("may be appended again with the same bytes, and stand there once [R1]", async () => {
        await append(row(1, 7n), row(1, 7n));
        expect((await read(1)).rows).toHaveLength(1);
      });

      it("of several epochs stand side by side at one firstSeq, the lowest epoch first [R1]", async () => {
        const high = 2n ** 63n - 1n;
        await append(row(5, 300n), row(1, high), row(5, 2n), row(1, 2n ** 53n + 1n), row(1, 2n ** 53n));
        expect((await read(1)).rows.map(({ firstSeq, epoch }) => [firstSeq, epoch])).toEqual([
          [1, 2n ** 53n],
          [1, 2n ** 53n + 1n],
          [1, high],
          [5, 2n],
          [5, 300n],
        ]);
      });

      it("are read from a seq on, which need not be the beginning of one", async () => {
        await append(row(1, 7n), row(100, 7n), row(300, 7n));
        expect(await seqs(2)).toEqual([100, 300]);
        expect(await seqs(100)).toEqual([100, 300]);
        expect(await seqs(301)).toEqual([]);
      });

      it("are read from one bucket at a time [R1]", async () => {
        const last = LIMITS.bucketMessages;
        await append(row(last, 7n), row(last + 1, 7n), row(2 * last, 7n), row(2 * last + 1, 7n));
        expect(await read(1)).toMatchObject({ rows: [{ firstSeq: last }], more: false });
        expect(await seqs(last)).toEqual([last]);
        expect(await seqs(last + 1)).toEqual([last + 1, 2 * last]);
        expect(await seqs(2 * last + 1)).toEqual([2 * last + 1]);
      });

      it("are found at seqs above 2³²", async () => {
        const firstSeq = 2 ** 45 + 1;
        await append(row(firstSeq, 7n), row(firstSeq + 1, 7n), row(2 ** 32, 7n), row(2 ** 32 + 1, 7n));
        expect(await seqs(firstSeq)).toEqual([firstSeq, firstSeq + 1]);
        expect(await seqs(2 ** 32)).toEqual([2 ** 32]);
      });

      it("of one conversation are not another's, however alike the names", async () => {
        const names = ["a", "aa", "a@b", "ä", "日本語", "a\u{1f600}", "x".repeat(LIMITS.conversationBytes)];
        for (const [index, conversation] of names.entries()) await append({ ...row(index + 1, 7n), conversation });
        for (const [index, conversation] of names.entries()) {
          expect((await read(1, { conversation })).rows.map((r) => [r.conversation, r.firstSeq])).toEqual([
            [conversation, index + 1],
          ]);
        }
      });

      it("are all there after 1,000 concurrent appends", async () => {
        const rows = Array.from({ length: 1_000 }, (_, i) => row(i + 1, 7n));
        expect(new Set(await Promise.all(rows.map((r) => store.append(r))))).toEqual(new Set(["committed"]));
        expect(plain((await read(1, { limitBytes: 8 * MIB })).rows)).toEqual(plain(rows));
      });

      it("keep their bytes while other rows are read", async () => {
        const rows = Array.from({ length: 20 }, (_, i) => row(i + 1, 7n, new Uint8Array(100_000 * (i % 3) + 10).fill(i)));
        await append(...rows);
        const first = (await read(1, { limitBytes: 8 * MIB })).rows;
        await append(row(21, 7n, new Uint8Array(300_000).fill(99)));
        await read(1, { limitBytes: 8 * MIB });
        expect(plain(first)).toEqual(plain(rows));
      });
    });

    describe("a page", () => {
      it("ends after limitBytes, says that there is more, and goes on above its last firstSeq", async () => {
        await append(...Array.from({ length: 10 }, (_, i) => row(10 * i + 1, 7n, new Uint8Array(100))));
        const page = await read(1, { limitBytes: 300 });
        expect(page).toMatchObject({ rows: [{ firstSeq: 1 }, { firstSeq: 11 }, { firstSeq: 21 }], more: true });
        expect(await seqs(22, 100)).toEqual([31]);
      });

      it("holds at least one firstSeq with all its epochs, however small limitBytes is", async () => {
        await append(row(1, 1n), row(1, 2n), row(1, 3n), row(2, 3n));
        expect(await read(1, { limitBytes: 1 })).toMatchObject({
          rows: [{ epoch: 1n }, { epoch: 2n }, { epoch: 3n }],
          more: true,
        });
      });

      it("that holds the bucket's last row says that there is no more", async () => {
        await append(row(1, 7n, new Uint8Array(100)), row(2, 7n, new Uint8Array(100)), row(LIMITS.bucketMessages + 1, 7n));
        expect(await read(1, { limitBytes: 150 })).toMatchObject({ rows: [{ firstSeq: 1 }, { firstSeq: 2 }], more: false });
        expect(await read(1, { limitBytes: 200 })).toMatchObject({ rows: [{ firstSeq: 1 }, { firstSeq: 2 }], more: false });
      });

      it("after page shows every row once", async () => {
        const rows = Array.from({ length: 60 }, (_, i) => row(Math.floor(i / 2) * 3 + 1, BigInt(i % 2), new Uint8Array(i)));
        await append(...rows);
        const found: Row[] = [];
        for (let from = 1, more = true; more; ) {
          const page = await read(from, { limitBytes: 64 });
          found.push(...page.rows);
          more = page.more;
          from = (page.rows.at(-1)?.firstSeq ?? from) + 1;
        }
        expect(plain(found)).toEqual(plain(rows));
      });
    });

    describe("checkpoints", () => {
      const save = async (epoch: bigint, seq: number, text: string) =>
        expect(await store.saveCheckpoint(CONVERSATION, epoch, seq, Buffer.from(text))).toBe("committed");
      const load = async () => {
        const checkpoint = await store.loadCheckpoint(CONVERSATION);
        return checkpoint && { ...checkpoint, bytes: Buffer.from(checkpoint.bytes).toString() };
      };

      it("are none at first", async () => {
        expect(await load()).toBeUndefined();
      });

      it("of one epoch are merged by the highest seq, whatever arrives last [R10]", async () => {
        await save(5n, 100, "at 100");
        await save(5n, 40, "late, at 40");
        expect(await load()).toEqual({ epoch: 5n, seq: 100, bytes: "at 100" });
        await save(5n, 101, "at 101");
        expect(await load()).toEqual({ epoch: 5n, seq: 101, bytes: "at 101" });
      });

      it("of the highest epoch count, also at a lower seq [R10]", async () => {
        await save(5n, 100, "old leader");
        await save(6n, 90, "new leader");
        expect(await load()).toEqual({ epoch: 6n, seq: 90, bytes: "new leader" });
        await save(5n, 500, "old leader, late");
        expect(await load()).toEqual({ epoch: 6n, seq: 90, bytes: "new leader" });
      });

      it("keep seq 0, and an epoch above 2⁵³", async () => {
        await save(2n ** 62n + 1n, 0, "empty");
        expect(await load()).toEqual({ epoch: 2n ** 62n + 1n, seq: 0, bytes: "empty" });
      });

      it("that are saved all at once end with the highest [R10]", async () => {
        const all = [4n, 6n, 5n].flatMap((epoch) => [7, 9, 8].map((seq) => ({ epoch, seq })));
        await Promise.all(all.map(({ epoch, seq }) => save(epoch, seq, `${epoch}/${seq}`)));
        expect(await load()).toEqual({ epoch: 6n, seq: 9, bytes: "6/9" });
      });

      it("hold as much as the largest state", async () => {
        const bytes = new Uint8Array(LIMITS.checkpointBytes).map((_, i) => i * 7);
        expect(await store.saveCheckpoint(CONVERSATION, 1n, 1, bytes)).toBe("committed");
        expect(Buffer.compare((await store.loadCheckpoint(CONVERSATION))?.bytes ?? new Uint8Array(), bytes)).toBe(0);
      });

      it("of one conversation are not another's", async () => {
        await save(9n, 9, "mine");
        expect(await store.saveCheckpoint(`${CONVERSATION}2`, 3n, 3, Buffer.from("other"))).toBe("committed");
        expect(await load()).toEqual({ epoch: 9n, seq: 9, bytes: "mine" });
        expect(await store.loadCheckpoint(`${CONVERSATION}2`)).toMatchObject({ epoch: 3n, seq: 3 });
        expect(await store.loadCheckpoint("standup")).toBeUndefined();
      });
    });

    describe("cursors", () => {
      const cursor = { conversation: CONVERSATION, consumer: "ada's phone" };

      it("are none at first, and each consumer has its own", async () => {
        expect(await store.loadCursor(cursor)).toBeUndefined();
        await store.saveCursor(cursor, { generation: 0, seq: 12 });
        expect(await store.loadCursor(cursor)).toEqual({ generation: 0, seq: 12 });
        expect(await store.loadCursor({ ...cursor, consumer: "ada" })).toBeUndefined();
        expect(await store.loadCursor({ ...cursor, conversation: "other" })).toBeUndefined();
      });

      it("only move on inside a generation, whatever arrives last [R11]", async () => {
        for (const seq of [3, 2 ** 40, 5]) await store.saveCursor(cursor, { generation: 1, seq });
        expect(await store.loadCursor(cursor)).toEqual({ generation: 1, seq: 2 ** 40 });
      });

      it("go back by a new generation only, and never to an old one [R11]", async () => {
        await store.saveCursor(cursor, { generation: 1, seq: 900 });
        await store.saveCursor(cursor, { generation: 2, seq: 0 });
        await store.saveCursor(cursor, { generation: 1, seq: 950 });
        expect(await store.loadCursor(cursor)).toEqual({ generation: 2, seq: 0 });
      });

      it("that are saved all at once end at the maximum [R11]", async () => {
        const all = Array.from({ length: 100 }, (_, i) => ({ generation: i % 3, seq: (i * 37) % 101 }));
        await Promise.all(all.map((position) => store.saveCursor(cursor, position)));
        const seq = Math.max(...all.filter(({ generation }) => generation === 2).map((position) => position.seq));
        expect(await store.loadCursor(cursor)).toEqual({ generation: 2, seq });
      });
    });

    describe("epoch marks", () => {
      it("are 0 at first, only rise, and stand for one shard each", async () => {
        expect(await store.loadEpochMark(3)).toBe(0n);
        await store.raiseEpochMark(3, 2n ** 60n + 1n);
        await store.raiseEpochMark(3, 2n ** 60n);
        await store.raiseEpochMark(127, 5n);
        expect(await store.loadEpochMark(3)).toBe(2n ** 60n + 1n);
        expect(await store.loadEpochMark(127)).toBe(5n);
        expect(await store.loadEpochMark(4)).toBe(0n);
      });

      it("that are raised all at once end at the highest", async () => {
        await Promise.all([5n, 300n, 256n, 2n, 255n].map((epoch) => store.raiseEpochMark(1, epoch)));
        expect(await store.loadEpochMark(1)).toBe(300n);
      });
    });
  });
}

function row(firstSeq: number, epoch: bigint, bytes: Uint8Array = Buffer.from(`batch ${firstSeq} of ${epoch}`)): Row {
  return { conversation: CONVERSATION, firstSeq, epoch, bytes };
}

function allBytes(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => i);
}

/** For comparing: stores may answer any kind of byte array. */
function plain(rows: readonly Row[]): unknown[] {
  return rows.map(({ conversation, firstSeq, epoch, bytes }) => [
    conversation,
    firstSeq,
    epoch,
    Buffer.from(bytes).toString("hex"),
  ]);
}
