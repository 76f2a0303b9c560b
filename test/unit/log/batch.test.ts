import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { EntrySchema } from "../../../src/gen/meridian/v1/stored_pb.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { ROOT_HASH } from "../../../src/kernel/hash.ts";
import { decodeBatch, EMPTY, encodeBatch, type NewBatch } from "../../../src/log/batch.ts";
import { CONVERSATION, endOf, entry, put } from "../../support/chains.ts";

const BATCH: NewBatch = {
  conversation: CONVERSATION,
  firstSeq: 1,
  firstId: 72057594037927937n,
  prevHash: ROOT_HASH,
  entries: [entry(1, "good morning"), entry(2, "coffee?")],
  watermark: EMPTY,
};

describe("a batch", () => {
  it("is opened as it was made", () => {
    const made = encodeBatch(BATCH);
    const opened = decodeBatch(CONVERSATION, made.bytes);
    expect(opened).toEqual(made);
    expect([opened.firstSeq, opened.lastSeq, opened.firstId]).toEqual([1, 2, BATCH.firstId]);
  });

  it("carries any bytes unchanged, well-formed UTF-8 or not", () => {
    const bytes = fc.uint8Array({ maxLength: 400 });
    const odd = fc.constantFrom([0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0], [0xf0, 0x9f]).map((list) => Uint8Array.from(list));
    fc.assert(
      fc.property(fc.array(fc.oneof(bytes, odd), { minLength: 1, maxLength: 10 }), (payloads) => {
        const entries = payloads.map((payload) =>
          create(EntrySchema, { producer: 7n, counter: 1n, sender: "ada", payload, key: payload }),
        );
        const opened = decodeBatch(CONVERSATION, encodeBatch({ ...BATCH, entries }).bytes);
        expect(opened.entries.map((one) => Buffer.from(one.payload))).toEqual(payloads.map((payload) => Buffer.from(payload)));
        expect(opened.entries.map((one) => Buffer.from(one.key))).toEqual(payloads.map((payload) => Buffer.from(payload)));
      }),
    );
  });

  it("keeps seqs and ids beyond 32 bits", () => {
    const made = encodeBatch({
      ...BATCH,
      firstSeq: 2 ** 52,
      firstId: 2n ** 63n + 5n,
      watermark: { seq: 2 ** 51, hash: "ab".repeat(16) },
    });
    expect(decodeBatch(CONVERSATION, made.bytes)).toEqual(made);
  });

  it("shows its bodies as views of its bytes, without a copy", () => {
    const { bytes } = encodeBatch(BATCH);
    const payload = decodeBatch(CONVERSATION, bytes).entries[0]?.payload;
    expect(payload?.buffer).toBe(bytes.buffer);
  });

  it("keeps its bytes and hash when a later leader writes it again under its own epoch [R2]", async () => {
    const store = new MemoryLogStore();
    const made = encodeBatch(BATCH);
    await put(store, 5n, made);
    await put(store, 9n, made);
    const { rows } = await store.read(CONVERSATION, 1, { level: "quorum", limitBytes: 10_000 });
    expect(rows.map(({ epoch }) => epoch)).toEqual([5n, 9n]);
    expect(rows.map(({ bytes }) => decodeBatch(CONVERSATION, bytes).hash)).toEqual([made.hash, made.hash]);
  });

  it("keeps its hash whatever watermark its leader knew [R2]", () => {
    const made = encodeBatch(BATCH);
    const other = encodeBatch({ ...BATCH, watermark: { seq: 9, hash: "cd".repeat(16) } });
    expect(other.hash).toBe(made.hash);
    expect(Buffer.compare(other.bytes, made.bytes)).not.toBe(0);
  });

  it.each([
    ["the conversation", { conversation: "standup@eu-west" }],
    ["the first seq", { firstSeq: 3 }],
    ["the first id", { firstId: 1n }],
    ["the hash before", { prevHash: "ab".repeat(16) }],
    ["the number of entries", { entries: [entry(1, "good morning")] }],
    ["the order of entries", { entries: [entry(2, "coffee?"), entry(1, "good morning")] }],
    ["a body", { entries: [entry(1, "good morning"), entry(2, "coffee!")] }],
    ["a counter", { entries: [entry(1, "good morning"), entry(3, "coffee?")] }],
  ] as const)("has another hash if %s differs [R2]", (_what, change) => {
    expect(encodeBatch({ ...BATCH, ...change }).hash).not.toBe(encodeBatch(BATCH).hash);
  });

  it("links to the one before, so that one hash names everything up to it [R2]", () => {
    const next = (before: ReturnType<typeof encodeBatch>) =>
      encodeBatch({ ...BATCH, firstSeq: 3, prevHash: endOf(before).hash, entries: [entry(3, "tea")] });
    const other = encodeBatch({ ...BATCH, entries: [entry(1, "good morning"), entry(2, "coffee!")] });
    expect(next(encodeBatch(BATCH)).hash).not.toBe(next(other).hash);
  });
});

describe("a damaged batch is CORRUPT, never missing:", () => {
  const made = encodeBatch({ ...BATCH, watermark: { seq: 300, hash: "0f".repeat(16) } });
  const { bytes } = made;
  const isCorrupt = (conversation: string, damaged: Uint8Array) => {
    try {
      decodeBatch(conversation, damaged);
      return false;
    } catch (error) {
      return error instanceof MeridianError && error.code === "CORRUPT" && error.details.conversation === conversation;
    }
  };

  it("any byte changed, but for the wire types of the four outer tags, which the decoder does not look at", () => {
    const unnoticed: number[] = [];
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff]) {
        const damaged = Uint8Array.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        if (isCorrupt(CONVERSATION, damaged)) continue;
        expect(decodeBatch(CONVERSATION, damaged)).toEqual({ ...made, bytes: damaged });
        expect(mask).toBeLessThan(8);
        unnoticed.push(at);
      }
    }
    expect(new Set(unnoticed).size).toBeLessThanOrEqual(4);
  });

  it("cut at any place", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(isCorrupt(CONVERSATION, bytes.subarray(0, length)), `cut after ${length} bytes`).toBe(true);
    }
  });

  it("bytes of anything else", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (other) => isCorrupt(CONVERSATION, other)));
  });

  it("a batch of another conversation", () => {
    expect(isCorrupt("standup2", bytes)).toBe(true);
  });

  it("a batch without entries", () => {
    expect(isCorrupt(CONVERSATION, encodeBatch({ ...BATCH, entries: [] }).bytes)).toBe(true);
  });
});
