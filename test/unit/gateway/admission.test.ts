import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkItem, checkPayload, checkRun, checkSender, checkWhole } from "../../../src/gateway/admission.ts";
import { PayloadSchema } from "../../../src/gen/meridian/v1/types_pb.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { item } from "../../support/sends.ts";

const BODY_MAX = 1_000;
const invalid = expect.objectContaining({ code: "INVALID_ARGUMENT" });

function tooLarge(limit: number) {
  return expect.objectContaining({ code: "TOO_LARGE", details: { limit: String(limit) } });
}

function payload(fields: { type?: string; body?: Uint8Array; sentAtMs?: bigint; traceparent?: string }): Uint8Array {
  return toBinary(PayloadSchema, create(PayloadSchema, fields));
}

describe("checkPayload", () => {
  it("takes every payload within the limits", () => {
    const fields = fc.record({
      type: fc.string({ unit: fc.constantFrom("a", "\u0000", "é", "漢", "😀"), maxLength: 30 }),
      body: fc.uint8Array({ maxLength: 50 }),
      sentAtMs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      traceparent: fc.string({ maxLength: 55 }),
    });
    fc.assert(fc.property(fields, (value) => checkPayload(payload(value), BODY_MAX) === undefined));
  });

  it("takes no bytes that a reader's decoder refuses [G9]", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.tuple(fc.uint8Array({ maxLength: 30 }), fc.nat(40), fc.nat(255)).map(([body, at, byte]) => {
        const bytes = payload({ type: "text/plain", body, sentAtMs: 1n });
        return bytes.with(at % bytes.length, byte);
      }),
    );
    fc.assert(
      fc.property(noise, (bytes) => {
        try {
          checkPayload(bytes, BODY_MAX);
        } catch {
          return;
        }
        fromBinary(PayloadSchema, bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("refuses bytes that are cut off, fields of the wrong type and text that is not UTF-8", () => {
    const whole = payload({ type: "text/plain", body: new Uint8Array(20) });
    for (let length = 1; length < whole.length; length += 1) {
      // After the first field of 12 bytes the cut payload is a whole one without a body.
      if (length === 12) continue;
      expect(() => checkPayload(whole.slice(0, length), BODY_MAX), `${length} bytes`).toThrow(invalid);
    }
    expect(() => checkPayload(Uint8Array.of((2 << 3) | 0, 1), BODY_MAX)).toThrow(invalid);
    expect(() => checkPayload(Uint8Array.of((3 << 3) | 2, 0), BODY_MAX)).toThrow(invalid);
    expect(() => checkPayload(Uint8Array.of((1 << 3) | 2, 1, 0xff), BODY_MAX)).toThrow(invalid);
    expect(() => checkPayload(Uint8Array.of((4 << 3) | 2, 1, 0xff), BODY_MAX)).toThrow(invalid);
  });

  it("refuses a tag of six bytes: a leader that opened it, for its key, would fall", () => {
    const overlong = Uint8Array.of(0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 1, 97);

    expect(() => checkPayload(overlong, BODY_MAX)).toThrow(invalid);
  });

  it("names the limit of a body, a type or a payload that is too large", () => {
    expect(() => checkPayload(payload({ body: new Uint8Array(BODY_MAX + 1) }), BODY_MAX)).toThrow(tooLarge(BODY_MAX));
    expect(() => checkPayload(payload({ type: "é".repeat(65) }), BODY_MAX)).toThrow(tooLarge(LIMITS.typeBytes));
    const long = payload({ traceparent: "0".repeat(BODY_MAX + LIMITS.payloadExtraBytes) });
    expect(() => checkPayload(long, BODY_MAX)).toThrow(tooLarge(BODY_MAX + LIMITS.payloadExtraBytes));
  });
});

describe("checkItem", () => {
  it("takes a skip only without payload and key", () => {
    expect(() => checkItem(item("", { skip: true }), BODY_MAX)).not.toThrow();
    expect(() => checkItem({ ...item("text"), skip: true }, BODY_MAX)).toThrow(invalid);
    expect(() => checkItem(item("", { skip: true, key: "key" }), BODY_MAX)).toThrow(invalid);
  });

  it("takes keys of up to 256 bytes", () => {
    expect(() => checkItem(item("text", { key: "k".repeat(256) }), BODY_MAX)).not.toThrow();
    expect(() => checkItem(item("text", { key: "k".repeat(257) }), BODY_MAX)).toThrow(tooLarge(256));
  });
});

describe("checkRun", () => {
  it("takes 1 to 128 items with counters from 1 to 2^53 - 1 for a named conversation", () => {
    const last = BigInt(Number.MAX_SAFE_INTEGER);
    expect(() => checkRun("standup", 1n, 128)).not.toThrow();
    expect(() => checkRun("standup", last, 1)).not.toThrow();
    for (const [conversation, counter, count] of [
      ["", 1n, 1],
      ["stand\nup", 1n, 1],
      ["standup", 0n, 1],
      ["standup", 1n, 0],
      ["standup", 1n, 129],
      ["standup", last, 2],
    ] as const) {
      expect(() => checkRun(conversation, counter, count), `${conversation} ${counter} ${count}`).toThrow(invalid);
    }
  });
});

describe("names and numbers", () => {
  it("takes senders of 1 to 256 bytes", () => {
    expect(() => checkSender("s".repeat(256))).not.toThrow();
    expect(() => checkSender("")).toThrow(invalid);
    expect(() => checkSender("s".repeat(257))).toThrow(invalid);
  });

  it("takes numbers that a seq can have", () => {
    expect(checkWhole("after", 0n)).toBe(0);
    expect(checkWhole("after", BigInt(Number.MAX_SAFE_INTEGER))).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => checkWhole("after", BigInt(Number.MAX_SAFE_INTEGER) + 1n)).toThrow(invalid);
    expect(() => checkWhole("from_seq", 0n, 1)).toThrow(invalid);
  });
});
