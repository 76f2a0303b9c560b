/** What a gateway checks before anything of a client goes further. Pure: it knows the limits and the request, nothing else. */
import type { SubmitItem } from "../gen/meridian/v1/client_pb.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation, checkName } from "../kernel/names.ts";
import { lookOver, type PayloadSizes } from "./payload.ts";

/** To whom messages belong: 1 to 256 bytes. Throws INVALID_ARGUMENT. */
export function checkSender(sender: string): void {
  checkName("the sender", sender, LIMITS.senderBytes);
}

/** The name of a server cursor: 1 to 256 bytes. Throws INVALID_ARGUMENT. */
export function checkConsumer(consumer: string): void {
  checkName("the consumer", consumer, LIMITS.consumerBytes);
}

/** A seq or counter off the wire as a number. Throws INVALID_ARGUMENT below `min` or above 2⁵³ − 1. */
export function checkWhole(what: string, value: bigint, min = 0): number {
  if (value < BigInt(min) || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new MeridianError("INVALID_ARGUMENT", `${what} is ${value}; it must be from ${min} to 2^53 - 1`);
  }
  return Number(value);
}

/** A submit but for its items: a valid name, 1 to 128 items, counters from 1 on. Throws INVALID_ARGUMENT. */
export function checkRun(conversation: string, firstCounter: bigint, count: number): void {
  checkConversation(conversation);
  if (count < 1 || count > LIMITS.batchMessages) {
    throw new MeridianError("INVALID_ARGUMENT", `a submit has ${count} items; it must have 1 to ${LIMITS.batchMessages}`);
  }
  checkWhole("first_counter", firstCounter, 1);
  checkWhole("the last counter of the submit", firstCounter + BigInt(count - 1), 1);
}

/** One item of a submit. Throws INVALID_ARGUMENT, or TOO_LARGE with `details.limit` in bytes. */
export function checkItem(item: Pick<SubmitItem, "payload" | "key" | "skip">, bodyBytesMax: number): void {
  if (item.skip) {
    if (item.payload.length > 0 || item.key.length > 0) {
      throw new MeridianError("INVALID_ARGUMENT", "an item that skips its counter must have neither payload nor key");
    }
    return;
  }
  checkLength("the key", item.key.length, LIMITS.keyBytes);
  checkPayload(item.payload, bodyBytesMax);
}

/** That the bytes are a Payload which every reader can open, within the limits. It stays as it is. */
export function checkPayload(payload: Uint8Array, bodyBytesMax: number): void {
  const { typeBytes, bodyBytes } = sizesOf(payload);
  checkLength("the body", bodyBytes, bodyBytesMax);
  checkLength("the type", typeBytes, LIMITS.typeBytes);
  checkLength("the payload", payload.length, bodyBytesMax + LIMITS.payloadExtraBytes);
}

function sizesOf(payload: Uint8Array): PayloadSizes {
  try {
    return lookOver(payload);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeridianError("INVALID_ARGUMENT", `the payload is not a meridian.v1.Payload: ${why}`, { cause });
  }
}

function checkLength(what: string, bytes: number, limit: number): void {
  if (bytes <= limit) return;
  throw new MeridianError("TOO_LARGE", `${what} has ${bytes} bytes; at most ${limit} are allowed`, {
    details: { limit: String(limit) },
  });
}
