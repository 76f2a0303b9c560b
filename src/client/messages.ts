import { type Payload, PayloadSchema, type Message as WireMessage } from "../gen/meridian/v1/types_pb.ts";
import { decode } from "../kernel/decode.ts";
import { encode } from "../kernel/encode.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Entry } from "../log/batch.ts";

/** A committed message. */
export interface Message {
  readonly conversation: string;
  /** Its place in the conversation: 1, 2, 3, …; the numbers that no reader is shown are voids. */
  readonly seq: number;
  /** Unique over all conversations, growing with seq, roughly ordered by time. */
  readonly id: bigint;
  readonly sender: string;
  /** The producer that sent it; 0n for a send without a session. */
  readonly producer: bigint;
  /** The sender's key, if it gave one. */
  readonly key: Uint8Array | undefined;
  /** What the body is, in the application's own words; may be empty. */
  readonly type: string;
  readonly body: Uint8Array;
  /** When it was sent, by the sender's clock, in milliseconds of UTC; 0 if not said. It orders nothing. */
  readonly sentAtMs: number;
  /** W3C trace context of the send, if it had one. */
  readonly traceparent: string | undefined;
}

export interface NewPayload {
  readonly type: string;
  readonly body: Uint8Array | string;
  readonly sentAtMs: number;
  readonly traceparent: string;
}

const encoder = new TextEncoder();

/**
 * Encodes what a sender says, once: every try carries these bytes, and servers recognise a repeat by them. Throws
 * INVALID_ARGUMENT, or TOO_LARGE for a body above `bodyBytesMax`.
 */
export function encodePayload(payload: NewPayload, bodyBytesMax: number): Uint8Array {
  const body = typeof payload.body === "string" ? encoder.encode(payload.body) : payload.body;
  if (!(body instanceof Uint8Array)) throw new MeridianError("INVALID_ARGUMENT", "the body must be a Uint8Array or a string");
  if (body.length > bodyBytesMax) {
    throw new MeridianError("TOO_LARGE", `the body has ${body.length} bytes; at most ${bodyBytesMax} are allowed`, {
      details: { limit: String(bodyBytesMax) },
    });
  }
  const typeBytes = Buffer.byteLength(payload.type);
  if (typeBytes > LIMITS.typeBytes) {
    throw new MeridianError("INVALID_ARGUMENT", `the type has ${typeBytes} bytes; at most ${LIMITS.typeBytes} are allowed`);
  }
  const { type, traceparent } = payload;
  const content = { type, body, sentAtMs: BigInt(payload.sentAtMs), traceparent };
  return encode(PayloadSchema, content, Buffer.allocUnsafe);
}

/** 1 to 256 bytes; strings are encoded as UTF-8. Throws INVALID_ARGUMENT. */
export function encodeKey(key: Uint8Array | string): Uint8Array {
  const bytes = typeof key === "string" ? encoder.encode(key) : key;
  if (bytes.length === 0 || bytes.length > LIMITS.keyBytes) {
    throw new MeridianError("INVALID_ARGUMENT", `a key has 1 to ${LIMITS.keyBytes} bytes, not ${bytes.length}`);
  }
  return bytes;
}

/** An entry of the log as a reader sees it. Body and key are views of the batch's bytes. */
export function messageOf(conversation: string, seq: number, id: bigint, entry: Entry): Message {
  const payload = readPayload(entry.payload);
  return {
    conversation,
    seq,
    id,
    sender: entry.sender,
    producer: entry.producer,
    key: entry.key.length > 0 ? entry.key : undefined,
    type: payload.type,
    body: payload.body,
    sentAtMs: Number(payload.sentAtMs),
    traceparent: payload.traceparent === "" ? undefined : payload.traceparent,
  };
}

/** A message as the unary calls answer it. */
export function messageFromWire(conversation: string, wire: WireMessage): Message {
  return {
    conversation,
    seq: Number(wire.seq),
    id: wire.id,
    sender: wire.sender,
    producer: wire.producer,
    key: wire.key.length > 0 ? wire.key : undefined,
    type: wire.type,
    body: wire.body,
    sentAtMs: Number(wire.sentAtMs),
    traceparent: wire.traceparent === "" ? undefined : wire.traceparent,
  };
}

/**
 * Servers never open a payload, so a foreign client can commit bytes that are none. The chain vouches for them as it does
 * for any message: they are handed over as they are, as a body without a type, and do not stop the conversation.
 */
function readPayload(bytes: Uint8Array): Pick<Payload, "type" | "body" | "sentAtMs" | "traceparent"> {
  try {
    return decode(PayloadSchema, bytes);
  } catch {
    return { type: "", body: bytes, sentAtMs: 0n, traceparent: "" };
  }
}
