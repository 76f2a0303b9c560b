import { create, toBinary } from "@bufbuild/protobuf";
import { PayloadSchema } from "../../src/gen/meridian/v1/types_pb.ts";
import type { SubmitItem, SubmitRun } from "../../src/routing/leaders.ts";

const encoder = new TextEncoder();

export function payload(body: string): Uint8Array {
  return toBinary(PayloadSchema, create(PayloadSchema, { type: "text/plain", body: encoder.encode(body), sentAtMs: 1n }));
}

export function item(body: string, options: { key?: string; skip?: boolean } = {}): SubmitItem {
  const skip = options.skip ?? false;
  return { payload: skip ? new Uint8Array() : payload(body), key: encoder.encode(options.key ?? ""), skip };
}

/** A run of a producer whose counters begin at `firstCounter`; bodies are the texts. */
export function run(firstCounter: number, texts: readonly (string | SubmitItem)[], options: Partial<SubmitRun> = {}): SubmitRun {
  return {
    conversation: "standup",
    producer: 7n,
    sender: "ada",
    firstCounter,
    items: texts.map((text) => (typeof text === "string" ? item(text) : text)),
    aboveId: 0n,
    ...options,
  };
}
