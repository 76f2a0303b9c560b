import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ClientRouteSchema } from "../../../src/gen/meridian/v1/emulation_pb.ts";
import { EntrySchema } from "../../../src/gen/meridian/v1/stored_pb.ts";
import { ErrorDetailSchema, PayloadSchema } from "../../../src/gen/meridian/v1/types_pb.ts";
import { encode } from "../../../src/kernel/encode.ts";
import { message, schemas } from "../../support/protobuf-values.ts";

describe("encoding a message", () => {
  it.each(schemas.map((schema) => [schema.typeName, schema] as const))("gives the library's bytes: %s", (_name, schema) => {
    fc.assert(
      fc.property(message(schema), (values) => {
        const made = create(schema, values);
        const wanted = Buffer.from(toBinary(schema, made));

        expect(Buffer.from(encode(schema, values))).toEqual(wanted);
        expect(Buffer.from(encode(schema, made))).toEqual(wanted);
      }),
      { numRuns: 30 },
    );
  });

  it("writes -0, which is no value left out", () => {
    const values = { rttMs: -0 };

    expect(Buffer.from(encode(ClientRouteSchema, values))).toEqual(
      Buffer.from(toBinary(ClientRouteSchema, create(ClientRouteSchema, values))),
    );
  });

  it("takes a message that is larger than any before", () => {
    const payload = new Uint8Array(300_000).fill(7);

    const wanted = toBinary(EntrySchema, create(EntrySchema, { sender: "somebody", payload, counter: 9n }));

    expect(Buffer.compare(encode(EntrySchema, { sender: "somebody", payload, counter: 9n }), wanted)).toBe(0);
  });

  it("leaves earlier bytes as they are", () => {
    const first = encode(PayloadSchema, { type: "first" });
    const before = Buffer.from(first);

    encode(PayloadSchema, { type: "other" });

    expect(Buffer.from(first)).toEqual(before);
  });

  it("goes on after a message that cannot be encoded", () => {
    expect(() => encode(PayloadSchema, { type: "t", sentAtMs: -1n })).toThrow("whole and not negative");
    expect(() => encode(PayloadSchema, { type: "t", sentAtMs: 2n ** 64n })).toThrow("64 bits");

    const wanted = toBinary(ErrorDetailSchema, create(ErrorDetailSchema, { message: "m" }));
    expect(Buffer.from(encode(ErrorDetailSchema, { message: "m" }))).toEqual(Buffer.from(wanted));
  });
});
