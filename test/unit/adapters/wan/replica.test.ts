import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Database } from "../../../../src/adapters/lmdb/database.ts";
import { LmdbLogStore } from "../../../../src/adapters/lmdb/log-store.ts";
import { MemoryLogStore } from "../../../../src/adapters/memory/log-store.ts";
import type { Replica, RowKey } from "../../../../src/adapters/wan/replica.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import { MemoryTelemetry } from "../../../support/telemetry.ts";
import { contentOf, row } from "./three-regions.ts";

const NAMES = ["b", "a", "aa", "日本語", "x".repeat(LIMITS.conversationBytes)];

/** What every replica does beside being a log store. */
function replicaContract(name: string, open: () => Promise<{ replica: Replica; close: () => Promise<void> }>): void {
  describe(`a replica: ${name}`, () => {
    let replica: Replica;
    let close: () => Promise<void>;

    beforeEach(async () => {
      ({ replica, close } = await open());
    });
    afterEach(() => close());

    /** Every page of a walk. */
    const walk = async <T, K>(scan: (after: K | undefined, limit: number) => Promise<readonly T[]>, keyOf: (item: T) => K) => {
      const found: T[] = [];
      for (;;) {
        const page = await scan(found.length === 0 ? undefined : keyOf(found.at(-1) as T), 3);
        expect(page.length).toBeLessThanOrEqual(3);
        found.push(...page);
        if (page.length < 3) return found;
      }
    };
    const line = ({ conversation, firstSeq, epoch }: RowKey) => `${conversation}#${firstSeq}/${epoch}`;

    it("that is empty has nothing to walk", async () => {
      expect(await contentOf(replica)).toEqual({ rows: [], checkpoints: [], cursors: [], marks: [] });
      expect(await replica.checkpointKey("a")).toBeUndefined();
    });

    it("shows every row's key once, page after page, whatever the names, seqs and epochs", async () => {
      const rows = NAMES.flatMap((conversation) =>
        [1, 4_096, 4_097, 2 ** 40].flatMap((seq) => [1n, 2n ** 60n].map((epoch) => row(seq, epoch, "x", conversation))),
      );
      for (const given of rows) await replica.append(given);
      const found = await walk<RowKey, RowKey>(
        (after, limit) => replica.scanRows(after, limit),
        (key) => key,
      );
      expect(found.map(line).sort()).toEqual(rows.map(line).sort());
      expect(found[0]).not.toHaveProperty("bytes");
    });

    it("says which rows it lacks, epochs apart, in the order asked", async () => {
      await replica.append(row(1, 1n));
      await replica.append(row(5, 2n));
      const asked = [row(9), row(5, 2n), row(5, 1n), row(1, 1n), row(1, 2n), row(1, 1n, "x", "standup2")];
      expect((await replica.missingRows(asked)).map(line)).toEqual(["standup#9/1", "standup#5/1", "standup#1/2", "standup2#1/1"]);
    });

    it("gives the first rows up to a size, but at least one, with their bytes", async () => {
      const rows = [1, 2, 3].map((seq) => row(seq, 1n, `${seq}`.repeat(100)));
      for (const given of rows) await replica.append(given);
      const text = async (limitBytes: number) =>
        (await replica.rowsOf(rows, limitBytes)).map(({ bytes }) => Buffer.from(bytes).toString().slice(0, 2));
      expect(await text(1)).toEqual(["11"]);
      expect(await text(200)).toEqual(["11", "22"]);
      expect(await text(1_000)).toEqual(["11", "22", "33"]);
    });

    it("shows each conversation's newest checkpoint once, without its bytes", async () => {
      for (const name of NAMES) {
        await replica.saveCheckpoint(name, 1n, 70, Buffer.from("old"));
        await replica.saveCheckpoint(name, 2n, 50, Buffer.from("new"));
      }
      const found = await walk(
        (after: string | undefined, limit) => replica.scanCheckpoints(after, limit),
        ({ conversation }) => conversation,
      );
      expect(found.map(({ conversation }) => conversation).sort()).toEqual([...NAMES].sort());
      for (const key of found) expect(key).toEqual({ conversation: key.conversation, epoch: 2n, seq: 50 });
      expect(await replica.checkpointKey("aa")).toEqual({ conversation: "aa", epoch: 2n, seq: 50 });
    });

    it("shows every cursor once with its position", async () => {
      const cursors = NAMES.flatMap((conversation) => ["c", "日", "cc"].map((consumer) => ({ conversation, consumer })));
      for (const cursor of cursors) await replica.saveCursor(cursor, { generation: 2, seq: 2 ** 40 });
      const found = await walk(
        (after: (typeof cursors)[0] | undefined, limit) => replica.scanCursors(after, limit),
        ({ cursor }) => cursor,
      );
      expect(found).toHaveLength(cursors.length);
      for (const cursor of cursors) expect(found).toContainEqual({ cursor, position: { generation: 2, seq: 2 ** 40 } });
    });

    it("shows every mark that was raised", async () => {
      await replica.raiseEpochMark(0, 5n);
      await replica.raiseEpochMark(127, 2n ** 60n);
      expect([...(await replica.epochMarks())].sort((a, b) => a.shard - b.shard)).toEqual([
        { shard: 0, epoch: 5n },
        { shard: 127, epoch: 2n ** 60n },
      ]);
    });
  });
}

replicaContract("memory", async () => ({ replica: new MemoryLogStore(), close: async () => {} }));

replicaContract("LMDB", async () => {
  const directory = await mkdtemp(join(tmpdir(), "meridian-replica-"));
  const database = await Database.open(directory, {
    onOwnerLost: (error) => {
      throw error;
    },
  });
  return {
    replica: new LmdbLogStore({ database, telemetry: new MemoryTelemetry() }),
    close: async () => {
      await database.close();
      await rm(directory, { recursive: true });
    },
  };
});
