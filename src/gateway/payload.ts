/**
 * A look over a serialized Payload: what it has, and whether every reader's decoder will take it.
 *
 * This is done for every message that is sent, so it walks over the fields by hand: the library's decoder takes ten times
 * as long, most of it for objects and strings that nobody wants here. Refusing too much is safe; taking what a decoder
 * refuses is not, for it would stand in the log for ever.
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

const VARINT = 0;
const FIXED_64 = 1;
const DELIMITED = 2;
const FIXED_32 = 5;

/** Throws an Error that says what is wrong. A field that stands twice counts as its last, as decoders have it. */
export function lookOver(payload: Uint8Array): PayloadSizes {
  const cursor = { payload, at: 0 };
  let typeBytes = 0;
  let bodyBytes = 0;
  while (cursor.at < payload.length) {
    const tag = readVarint(cursor);
    const field = tag >>> 3;
    const wireType = tag & 7;
    if (tag > 0xffff_ffff || field === 0) throw new Error("it has a field without a number");
    if (field <= TRACEPARENT && wireType !== (field === SENT_AT_MS ? VARINT : DELIMITED)) {
      throw new Error(`its field ${field} has the wrong type`);
    }
    const begin = skip(cursor, wireType);
    if (field === TYPE || field === TRACEPARENT) checkUtf8(payload, begin, cursor.at);
    if (field === TYPE) typeBytes = cursor.at - begin;
    if (field === BODY) bodyBytes = cursor.at - begin;
  }
  return { typeBytes, bodyBytes };
}

interface Cursor {
  readonly payload: Uint8Array;
  at: number;
}

/** Goes behind the field's value; answers where its bytes begin. */
function skip(cursor: Cursor, wireType: number): number {
  let length = 0;
  if (wireType === VARINT) readVarint(cursor);
  else if (wireType === DELIMITED) length = readVarint(cursor);
  else if (wireType === FIXED_64) length = 8;
  else if (wireType === FIXED_32) length = 4;
  else throw new Error("it has a group");
  const begin = cursor.at;
  if (length > cursor.payload.length - begin) throw new Error("it is cut off");
  cursor.at += length;
  return begin;
}

/** Exact below 2^53, which is far above any length that fits. */
function readVarint(cursor: Cursor): number {
  let value = 0;
  let scale = 1;
  for (let bytes = 0; bytes < 10; bytes += 1) {
    const byte = cursor.payload[cursor.at];
    if (byte === undefined) throw new Error("it is cut off");
    cursor.at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
  throw new Error("it has a number of more than ten bytes");
}

const strict = new TextDecoder("utf-8", { fatal: true });

function checkUtf8(bytes: Uint8Array, begin: number, end: number): void {
  for (let at = begin; at < end; at += 1) {
    if ((bytes[at] as number) < 0x80) continue;
    try {
      strict.decode(bytes.subarray(begin, end));
    } catch (cause) {
      throw new Error("its text is not UTF-8", { cause });
    }
    return;
  }
}
