import { create } from "@bufbuild/protobuf";
import { type Entry, EntrySchema } from "../../src/gen/meridian/v1/stored_pb.ts";
import { type Batch, EMPTY, encodeBatch, type Watermark } from "../../src/log/batch.ts";
import type { LogStore } from "../../src/ports/log-store.ts";
import { payload } from "./sends.ts";

export const CONVERSATION = "standup";

/** An entry of producer 7 with this counter; the text makes its content. */
export function entry(counter: number, text: string): Entry {
  return create(EntrySchema, { producer: 7n, counter: BigInt(counter), sender: "ada", payload: payload(text) });
}

/** The watermark after this batch. */
export function endOf(batch: Batch): Watermark {
  return { seq: batch.lastSeq, hash: batch.hash };
}

/** A batch of one entry a text on top of `before`. The counters are the seqs. */
export function batchAfter(before: Watermark, texts: readonly string[], watermark: Watermark = EMPTY): Batch {
  const firstSeq = before.seq + 1;
  return encodeBatch({
    conversation: CONVERSATION,
    firstSeq,
    firstId: BigInt(1000 * firstSeq),
    prevHash: before.hash,
    entries: texts.map((text, i) => entry(firstSeq + i, text)),
    watermark,
  });
}

export async function put(store: Pick<LogStore, "append">, epoch: bigint, ...batches: readonly Batch[]): Promise<void> {
  for (const { firstSeq, bytes } of batches) await store.append({ conversation: CONVERSATION, firstSeq, epoch, bytes });
}
