import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SessionRequestSchema, SubmitSchema } from "../../../src/gen/meridian/v1/client_pb.ts";
import { DedupStateSchema } from "../../../src/gen/meridian/v1/stored_pb.ts";
import { ErrorDetailSchema, PayloadSchema } from "../../../src/gen/meridian/v1/types_pb.ts";
import { decode } from "../../../src/kernel/decode.ts";
import { message, schemas } from "../../support/protobuf-values.ts";

const named = schemas.map((schema) => [schema.typeName, schema] as const);

function bytesOf<D extends DescMessage>(schema: D, values: MessageInitShape<D>): Uint8Array {
  return toBinary(schema, create(schema, values));
}

function together(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Plain objects: what is compared is what stands in a message, not how it was made. */
function read(schema: DescMessage, bytes: Uint8Array): object {
  return { ...fromBinary(schema, bytes, { readUnknownFields: false }) };
}

describe("decoding a message", () => {
  it.each(named)("gives what the library gives: %s", (_name, schema) => {
    fc.assert(
      fc.property(message(schema), (values) => {
        const bytes = bytesOf(schema, values);

        expect(decode(schema, bytes)).toEqual(read(schema, bytes));
      }),
      { numRuns: 30 },
    );
  });

  it.each(named)("makes one of two parts, as the library does: %s", (_name, schema) => {
    fc.assert(
      fc.property(message(schema), message(schema), (one, other) => {
        const bytes = together(bytesOf(schema, one), bytesOf(schema, other));

        expect(decode(schema, bytes)).toEqual(read(schema, bytes));
      }),
      { numRuns: 30 },
    );
  });

  it.each(named)("takes nothing of damaged bytes that the library does not take: %s", (_name, schema) => {
    const damage = fc.record({ at: fc.nat(), byte: fc.nat(255) });
    fc.assert(
      fc.property(message(schema), fc.array(damage, { minLength: 1, maxLength: 3 }), fc.nat(300), (values, damages, cut) => {
        const bytes = Uint8Array.from(bytesOf(schema, values).slice(0, -cut || undefined));
        for (const { at, byte } of damages) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        let ours: object;
        try {
          ours = decode(schema, bytes);
        } catch {
          return;
        }
        expect(ours).toEqual(read(schema, bytes));
      }),
      { numRuns: 100 },
    );
  });

  it("leaves out fields that it does not know", () => {
    const unknown = Uint8Array.of(
      (15 << 3) | 0,
      200,
      1,
      (14 << 3) | 2,
      1,
      7,
      (13 << 3) | 1,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      (12 << 3) | 5,
      1,
      2,
      3,
      4,
    );
    const known = bytesOf(PayloadSchema, { type: "text/plain", body: Uint8Array.of(1) });

    expect(decode(PayloadSchema, together(unknown, known))).toEqual(read(PayloadSchema, known));
  });

  it("reads lists of numbers that are not packed", () => {
    const bytes = Uint8Array.of((3 << 3) | 0, 7, (3 << 3) | 2, 2, 8, 9, (3 << 3) | 0, 200, 1);

    expect(decode(DedupStateSchema, bytes).producer).toEqual([7, 8, 9, 200]);
  });

  it("leaves out a map's key that JavaScript has a meaning for", () => {
    const bytes = bytesOf(ErrorDetailSchema, { details: JSON.parse('{"__proto__":"a","wanted":"7"}') });

    expect(Object.entries(decode(ErrorDetailSchema, bytes).details)).toEqual([["wanted", "7"]]);
  });

  it("shares nothing between messages", () => {
    decode(SubmitSchema, bytesOf(SubmitSchema, { items: [{ skip: true }] })).items.push(create(SubmitSchema).items[0] as never);
    decode(SessionRequestSchema, bytesOf(SessionRequestSchema, { frame: { case: "ping", value: { nonce: 1n } } }));

    expect(decode(SubmitSchema, new Uint8Array()).items).toEqual([]);
    expect(decode(SessionRequestSchema, new Uint8Array()).frame).toEqual({ case: undefined });
  });

  it.each([
    ["a field without a number", [0]],
    ["a tag of more than five bytes", [0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 1, 97]],
    ["a wrong type", [(1 << 3) | 0, 1]],
    ["a text that is cut off", [(1 << 3) | 2, 2, 97]],
    ["a number that is cut off", [(3 << 3) | 0, 0x80]],
    ["a number of more than ten bytes", [(3 << 3) | 0, ...new Array(10).fill(0x80), 1]],
    ["a text that is not UTF-8", [(1 << 3) | 2, 1, 0xff]],
    ["a group", [(9 << 3) | 3, (9 << 3) | 4]],
  ])("refuses %s", (_what, bytes) => {
    expect(() => decode(PayloadSchema, Uint8Array.from(bytes))).toThrow(/^it/);
  });

  it("refuses an entry of a map with more than a key and a value, whose value the library would misread", () => {
    const more = (number: number) => [(5 << 3) | 2, 6, (1 << 3) | 2, 1, 97, (number << 3) | 2, 1, 98];

    expect(decode(ErrorDetailSchema, Uint8Array.from(more(2))).details).toEqual({ a: "b" });
    expect(() => decode(ErrorDetailSchema, Uint8Array.from(more(3)))).toThrow("more than keys and values");
  });

  it("refuses an inner message that goes beyond its outer one", () => {
    const inner = [(4 << 3) | 2, 4, (1 << 3) | 2, 3, 97, 98];

    expect(() => decode(SubmitSchema, Uint8Array.from([...inner, 99, 0]))).toThrow("cut off");
  });
});
