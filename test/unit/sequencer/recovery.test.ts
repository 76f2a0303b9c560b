import { describe, expect, it } from "vitest";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type Batch, EMPTY, type Watermark } from "../../../src/log/batch.ts";
import { encodeCheckpoint } from "../../../src/log/checkpoint.ts";
import type { LogStore, ReadLevel } from "../../../src/ports/log-store.ts";
import { Dedup } from "../../../src/sequencer/dedup.ts";
import { recover } from "../../../src/sequencer/recovery.ts";
import { batchAfter, CONVERSATION, endOf, put } from "../../support/chains.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

function recovering(
  store: Pick<LogStore, "read">,
  epoch: bigint,
  checkpoint?: Awaited<ReturnType<LogStore["loadCheckpoint"]>>,
  told?: Watermark,
) {
  return recover({ conversation: CONVERSATION, epoch, checkpoint, told, store, telemetry: new MemoryTelemetry() });
}

async function recovered(store: Pick<LogStore, "read">, epoch: bigint) {
  const result = await recovering(store, epoch);
  if (result.kind !== "recovered") throw new Error(`met epoch ${result.epoch}`);
  return result.state;
}

/** What each level reads: the quorum may have missed what one replica holds. */
class Levels implements Pick<LogStore, "read"> {
  readonly stores = { local: new MemoryLogStore(), quorum: new MemoryLogStore(), all: new MemoryLogStore() };
  readonly levels: ReadLevel[] = [];

  read(...args: Parameters<LogStore["read"]>): ReturnType<LogStore["read"]> {
    this.levels.push(args[2].level);
    return this.stores[args[2].level].read(...args);
  }
}

const firstSeqs = (batches: readonly Batch[]) => batches.map(({ firstSeq }) => firstSeq);

describe("recovery", () => {
  it("finds an empty log empty", async () => {
    expect(await recovered(new MemoryLogStore(), 1n)).toMatchObject({ head: EMPTY, lastId: 0n, tail: [] });
  });

  it("takes, of the rows that chain on, the one of the highest epoch [R6]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const [old, recent] = [batchAfter(endOf(one), ["old"]), batchAfter(endOf(one), ["recent"])];
    await put(store, 1n, one, old);
    await put(store, 2n, one, recent);
    expect((await recovered(store, 3n)).head).toEqual(endOf(recent));
  });

  it("does not follow a newer row that chains to nothing [R6]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const two = batchAfter(endOf(one), ["b"]);
    const zombie = batchAfter({ seq: 1, hash: "ee".repeat(16) }, ["zombie"]);
    await put(store, 1n, one, two);
    await put(store, 2n, zombie);
    expect((await recovered(store, 3n)).head).toEqual(endOf(two));
  });

  it("goes on where the epoch falls: a leader died while it wrote the tail again [R6]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const two = batchAfter(endOf(one), ["acknowledged under the epoch before"]);
    await put(store, 2n, one, two);
    await put(store, 3n, one);
    expect((await recovered(store, 4n)).head).toEqual(endOf(two));
  });

  it("asks for the tail above the highest known watermark to be written again, and for no more [R7]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const two = batchAfter(endOf(one), ["b"], endOf(one));
    const three = batchAfter(endOf(two), ["c"], endOf(one));
    await put(store, 1n, one, two, three);
    const state = await recovered(store, 2n);
    expect(firstSeqs(state.tail)).toEqual([2, 3]);
    expect(state.head).toEqual(endOf(three));
    expect(state.lastId).toBe(3000n);
  });

  it("believes the watermark of a dead row [R5]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const two = batchAfter(endOf(one), ["b"]);
    const dead = batchAfter({ seq: 2, hash: "ee".repeat(16) }, ["dead"], endOf(two));
    await put(store, 1n, one, two);
    await put(store, 1n, dead);
    expect(firstSeqs((await recovered(store, 2n)).tail)).toEqual([]);
  });

  it("stops and tells of a row of its own or a higher epoch [R6]", async () => {
    const store = new MemoryLogStore();
    await put(store, 7n, batchAfter(EMPTY, ["a"]));
    expect(await recovering(store, 7n)).toEqual({ kind: "met", epoch: 7n });
    expect(await recovering(store, 6n)).toEqual({ kind: "met", epoch: 7n });
  });

  it("reads every replica when it would stop below a watermark that it has met [R6]", async () => {
    const levels = new Levels();
    const one = batchAfter(EMPTY, ["a"]);
    const two = batchAfter(endOf(one), ["b"]);
    const three = batchAfter(endOf(two), ["c"], endOf(two));
    await put(levels.stores.quorum, 1n, one, three);
    await put(levels.stores.all, 1n, one, two, three);
    expect((await recovered(levels, 2n)).head).toEqual(endOf(three));
    expect(levels.levels).toContain("all");
  });

  it("stays shut, and says what to do, when a committed message is on no replica [R6]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const two = batchAfter(endOf(one), ["b"]);
    await put(store, 1n, one, batchAfter(endOf(two), ["c"], endOf(two)));
    const shut = await recovering(store, 2n).catch((error: unknown) => error);
    expect(shut).toMatchObject({ code: "CORRUPT", details: { reached: "1", told: "2" } });
    expect(shut).toHaveProperty("advice", expect.stringContaining("Bring the missing replicas back"));
  });

  it("stays shut below a watermark that a gateway has verified, and opens when the log reaches it [R6]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const two = batchAfter(endOf(one), ["b"]);
    await put(store, 1n, one);
    await expect(recovering(store, 2n, undefined, endOf(two))).rejects.toMatchObject({ code: "CORRUPT", details: { told: "2" } });
    await put(store, 1n, two);
    expect(await recovering(store, 2n, undefined, endOf(two))).toMatchObject({ state: { head: endOf(two), tail: [] } });
  });

  it("finds a part of the log that nothing leads to by looking into later buckets [R5]", async () => {
    const store = new MemoryLogStore();
    const far = { seq: LIMITS.bucketMessages, hash: "ab".repeat(16) };
    await put(store, 1n, batchAfter(EMPTY, ["a"]), batchAfter(far, ["b"], far));
    await expect(recovering(store, 2n)).rejects.toMatchObject({ code: "CORRUPT", details: { told: "4096" } });
  });

  it("calls two histories with one seq by their name [R5]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const fork = { seq: 1, hash: "ff".repeat(16) };
    await put(store, 1n, one, batchAfter(endOf(one), ["b"], fork));
    await expect(recovering(store, 2n)).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("two histories"),
    });
  });

  it("takes damage for damage, never for absence [R6]", async () => {
    const store = new MemoryLogStore();
    const bytes = Uint8Array.from(batchAfter(EMPTY, ["a"]).bytes);
    bytes[20] = (bytes[20] as number) ^ 1;
    await store.append({ conversation: CONVERSATION, firstSeq: 1, epoch: 1n, bytes });
    await expect(recovering(store, 2n)).rejects.toMatchObject({ code: "CORRUPT" });
  });

  it("walks over buckets", async () => {
    const store = new MemoryLogStore();
    let end = EMPTY;
    for (let i = 0; i < 80; i += 1) {
      const batch = batchAfter(end, new Array(128).fill("x"), end);
      await put(store, 1n, batch);
      end = endOf(batch);
    }
    const state = await recovered(store, 2n);
    expect(state.head).toEqual(end);
    expect(firstSeqs(state.tail)).toEqual([end.seq - 127]);
  });

  it("starts from a checkpoint, and knows the retries of what lies before it [R10] [G3]", async () => {
    const store = new MemoryLogStore();
    const one = batchAfter(EMPTY, ["a"]);
    const dedup = new Dedup();
    dedup.apply(1, one.firstId, one.entries);
    const two = batchAfter(endOf(one), ["b"]);
    await put(store, 1n, two);
    const bytes = encodeCheckpoint({ watermark: endOf(one), lastId: 1000n, dedup: dedup.snapshot() });
    const result = await recovering(store, 2n, { epoch: 1n, seq: 1, bytes });
    if (result.kind !== "recovered") throw new Error("not recovered");
    expect(result.state.head).toEqual(endOf(two));
    expect(result.state.dedup.snapshot().producers).toMatchObject([{ lastCounter: 2n }]);
    expect(result.state.dedup.snapshot().ids).toEqual([1000n, 2000n]);
  });
});
