import { create } from "@bufbuild/protobuf";
import { encodePayload } from "../src/client/messages.ts";
import { type Entry, EntrySchema } from "../src/gen/meridian/v1/stored_pb.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { EMPTY, encodeBatch, type Watermark } from "../src/log/batch.ts";
import type { Row } from "../src/ports/log-store.ts";

const PRODUCER = 7n;

/** The batches of one conversation as a leader would cut them: chained, and never across a bucket. */
export class Batches {
  readonly conversation: string;
  readonly #entries: readonly Entry[];
  readonly #epoch: bigint;
  #end: Watermark = EMPTY;

  constructor(options: {
    readonly conversation: string;
    readonly messages: number;
    readonly bodyBytes: number;
    readonly epoch: bigint;
  }) {
    this.conversation = options.conversation;
    this.#epoch = options.epoch;
    const body = new Uint8Array(options.bodyBytes).fill(120);
    const payload = encodePayload({ body, type: "", sentAtMs: 1_700_000_000_000, traceparent: "" }, LIMITS.bodyBytesCeiling);
    const counters = Array.from({ length: options.messages }, (_, at) => BigInt(at + 1));
    this.#entries = counters.map((counter) => create(EntrySchema, { producer: PRODUCER, counter, sender: "bench", payload }));
  }

  /** Where the last batch ended. */
  get end(): Watermark {
    return this.#end;
  }

  next(): Row {
    const firstSeq = this.#end.seq + 1;
    const left = LIMITS.bucketMessages - ((firstSeq - 1) % LIMITS.bucketMessages);
    const entries = this.#entries.slice(0, left).map((entry, at) => ({ ...entry, counter: BigInt(firstSeq + at) }));
    const batch = encodeBatch({
      conversation: this.conversation,
      firstSeq,
      firstId: BigInt(1_000 + firstSeq),
      prevHash: this.#end.hash,
      entries,
      watermark: this.#end,
    });
    this.#end = { seq: batch.lastSeq, hash: batch.hash };
    return { conversation: this.conversation, firstSeq, epoch: this.#epoch, bytes: batch.bytes };
  }
}
