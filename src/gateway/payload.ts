import { Forwards } from "../kernel/forwards.ts";
import { WIRE } from "../kernel/wire-type.ts";

/**
 * A look over a serialized Payload: what it has, and whether every reader's decoder will take it.
 *
 * This is done for every message that is sent, so it walks over the fields and makes none of the objects and texts that nobody
 * wants here. Refusing too much is safe; taking what a decoder refuses is not, for it would stand in the log for ever, and the
 * leader opens what has a key.
 */

export interface PayloadSizes {
  readonly typeBytes: number;
  readonly bodyBytes: number;
}

/** The field numbers of Payload. */
const TYPE = 1;
const BODY = 2;
const SENT_AT_MS = 3;
const TRACEPARENT = 4;

/** Throws an Error that says what is wrong. A field that stands twice counts as its last, as decoders have it. */
export function lookOver(payload: Uint8Array): PayloadSizes {
  const from = new Forwards(payload);
  let typeBytes = 0;
  let bodyBytes = 0;
  while (!from.isOver) {
    const tag = from.tag();
    const field = tag >>> 3;
    const wireType = tag & 7;
    if (field <= TRACEPARENT && wireType !== (field === SENT_AT_MS ? WIRE.varint : WIRE.delimited)) {
      throw new Error(`its field ${field} has the wrong type`);
    }
    if (field === TYPE) typeBytes = from.skipText();
    else if (field === TRACEPARENT) from.skipText();
    else if (field === BODY) bodyBytes = from.skip(wireType);
    else from.skip(wireType);
  }
  return { typeBytes, bodyBytes };
}
