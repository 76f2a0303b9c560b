import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { file_meridian_v1_admin } from "../../../src/gen/meridian/v1/admin_pb.ts";
import { file_meridian_v1_client } from "../../../src/gen/meridian/v1/client_pb.ts";
import { ClientRouteSchema, file_meridian_v1_emulation } from "../../../src/gen/meridian/v1/emulation_pb.ts";
import { file_meridian_v1_peer } from "../../../src/gen/meridian/v1/peer_pb.ts";
import { EntrySchema, file_meridian_v1_stored } from "../../../src/gen/meridian/v1/stored_pb.ts";
import { ErrorDetailSchema, file_meridian_v1_types, PayloadSchema } from "../../../src/gen/meridian/v1/types_pb.ts";
import { encode } from "../../../src/kernel/encode.ts";

const files = [
  file_meridian_v1_admin,
  file_meridian_v1_client,
  file_meridian_v1_emulation,
  file_meridian_v1_peer,
  file_meridian_v1_stored,
  file_meridian_v1_types,
];
const schemas = files.flatMap(({ messages }) => messages);

const text = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), fc.constant("a\ud800"), fc.constant(""));
const bytes = fc.uint8Array({ maxLength: 300 });
const whole64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 127n, 128n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 56n, 2n ** 63n, 2n ** 64n - 1n),
);
const whole32 = fc.oneof(fc.nat({ max: 2 ** 32 - 1 }), fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1));

const scalars: Partial<Record<ScalarType, fc.Arbitrary<unknown>>> = {
  [ScalarType.STRING]: text,
  [ScalarType.BYTES]: bytes,
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.DOUBLE]: fc.double(),
  [ScalarType.UINT32]: whole32,
  [ScalarType.UINT64]: whole64,
  [ScalarType.FIXED64]: whole64,
  [ScalarType.SINT64]: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
};

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  const values = scalars[type];
  if (values === undefined) throw new Error(`no values of scalar type ${ScalarType[type]}`);
  return values;
}

function value(field: DescField): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return fc.constantFrom(...field.enum.values.map(({ number }) => number));
    case "message":
      return message(field.message);
    case "list": {
      const { listKind } = field;
      if (listKind === "message") return fc.array(message(field.message), { maxLength: 4 });
      return fc.array(listKind === "scalar" ? scalar(field.scalar) : whole32, { maxLength: 4 });
    }
    case "map":
      return fc.dictionary(fc.string({ minLength: 1 }), scalar(field.mapKind === "scalar" ? field.scalar : ScalarType.BYTES));
  }
}

/** Plain values as the code gives them: any field may be left out. */
function message(schema: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const alone = schema.fields.filter(({ oneof }) => oneof === undefined).map((field) => [field.localName, value(field)]);
  const groups = schema.oneofs.map(({ localName, fields }) => {
    const chosen = fields.map((field) => fc.record({ case: fc.constant(field.localName), value: value(field) }));
    return [localName, fc.oneof(fc.constant({ case: undefined }), ...chosen)];
  });
  return fc.record(Object.fromEntries([...alone, ...groups]), { requiredKeys: [] });
}

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
