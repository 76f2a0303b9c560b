import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { file_meridian_v1_admin } from "../../src/gen/meridian/v1/admin_pb.ts";
import { file_meridian_v1_client } from "../../src/gen/meridian/v1/client_pb.ts";
import { file_meridian_v1_emulation } from "../../src/gen/meridian/v1/emulation_pb.ts";
import { file_meridian_v1_peer } from "../../src/gen/meridian/v1/peer_pb.ts";
import { file_meridian_v1_stored } from "../../src/gen/meridian/v1/stored_pb.ts";
import { file_meridian_v1_types } from "../../src/gen/meridian/v1/types_pb.ts";

const files = [
  file_meridian_v1_admin,
  file_meridian_v1_client,
  file_meridian_v1_emulation,
  file_meridian_v1_peer,
  file_meridian_v1_stored,
  file_meridian_v1_types,
];

/** Every message of the protocol. */
export const schemas = files.flatMap(({ messages }) => messages);

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
export function message(schema: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const alone = schema.fields.filter(({ oneof }) => oneof === undefined).map((field) => [field.localName, value(field)]);
  const groups = schema.oneofs.map(({ localName, fields }) => {
    const chosen = fields.map((field) => fc.record({ case: fc.constant(field.localName), value: value(field) }));
    return [localName, fc.oneof(fc.constant({ case: undefined }), ...chosen)];
  });
  return fc.record(Object.fromEntries([...alone, ...groups]), { requiredKeys: [] });
}
