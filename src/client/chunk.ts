import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SubmitItemSchema } from "../gen/meridian/v1/client_pb.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { PendingSend } from "./pending-send.ts";

/** As many of the sends as one submit takes: consecutive counters, up to a batch's messages and bytes, but at least one. */
export function chunkOf(sends: readonly PendingSend[]): PendingSend[] {
  const chunk: PendingSend[] = [];
  let bytes = 0;
  for (const send of sends) {
    const before = chunk.at(-1);
    bytes += send.bytes;
    const isFull = chunk.length === LIMITS.batchMessages || bytes > LIMITS.batchBytes;
    if (before !== undefined && (isFull || (send.counter !== 0 && send.counter !== before.counter + 1))) break;
    chunk.push(send);
  }
  return chunk;
}

export function bytesOf(sends: readonly PendingSend[]): number {
  return sends.reduce((sum, send) => sum + send.bytes, 0);
}

export function itemOf(send: PendingSend): MessageInitShape<typeof SubmitItemSchema> {
  return send.isSkip ? { skip: true } : { payload: send.payload, key: send.key };
}
