import type { MessageInitShape } from "@bufbuild/protobuf";
import { type MessageSchema, PayloadSchema } from "../gen/meridian/v1/types_pb.ts";
import { decode } from "../kernel/decode.ts";
import { MeridianError } from "../kernel/errors.ts";
import type { Batch } from "../log/batch.ts";

export type WireMessage = MessageInitShape<typeof MessageSchema>;

/** The messages of a batch with `after < seq <= through`, in order; voids are left out. Throws CORRUPT for a payload that is none. */
export function messagesOf(batch: Batch, after: number, through: number): WireMessage[] {
  const messages: WireMessage[] = [];
  for (const [i, entry] of batch.entries.entries()) {
    const seq = batch.firstSeq + i;
    if (seq <= after || seq > through || entry.void) continue;
    const { producer, counter, sender, key } = entry;
    const { type, body, sentAtMs, traceparent } = payloadOf(entry.payload, seq);
    const id = batch.firstId + BigInt(i);
    messages.push({ seq: BigInt(seq), id, producer, counter, sender, key, type, body, sentAtMs, traceparent });
  }
  return messages;
}

function payloadOf(bytes: Uint8Array, seq: number) {
  try {
    return decode(PayloadSchema, bytes);
  } catch (cause) {
    throw new MeridianError("CORRUPT", `the payload of seq ${seq} cannot be decoded`, { details: { seq: String(seq) }, cause });
  }
}
