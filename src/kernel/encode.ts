/**
 * Messages as protobuf bytes: what is stored, forwarded and pushed passes here, most of it for every message of a user.
 *
 * The library's encoder makes a message object of what it is given, asks reflection about each of its fields, and writes
 * every inner message into an array of its own, to copy it into the outer one: a third of a client's CPU. The tempting
 * idea, code by hand for the types that matter, is a second copy of the schema. The idea used: of each type's schema a plan
 * is made once, a function for each field; and bytes are written from the last to the first, so that the length of an inner
 * message, which stands before it, is known when its turn comes.
 */
import { type DescField, type DescMessage, type MessageInitShape, ScalarType } from "@bufbuild/protobuf";
import { Backwards } from "./backwards.ts";
import { MeridianError } from "./errors.ts";
import { WIRE, wireTypeOf } from "./wire-type.ts";

type Values = Readonly<Record<string, unknown>>;
type Write<T> = (value: T) => void;

const IMPLICIT = 2;

/** All encoding shares this memory: nothing is awaited between a message's first byte and its last. */
const out = new Backwards();
const plans = new WeakMap<DescMessage, Write<Values>>();

/**
 * The bytes that the library would write, but for fields that this version does not know. `memory` is where they go: their
 * own by default; a `Buffer.allocUnsafe` makes small ones cheaper, and they keep its whole slab alive.
 */
export function encode<D extends DescMessage>(
  schema: D,
  message: MessageInitShape<D>,
  memory: (bytes: number) => Uint8Array<ArrayBuffer> = ownMemory,
): Uint8Array<ArrayBuffer> {
  out.begin();
  planOf(schema)(message as Values);
  const bytes = memory(out.size);
  out.copyTo(bytes);
  return bytes;
}

function ownMemory(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}

function planOf(schema: DescMessage): Write<Values> {
  const known = plans.get(schema);
  if (known !== undefined) return known;
  const fields = [...schema.fields].sort((a, b) => b.number - a.number).map(planField);
  const plan: Write<Values> = (message) => {
    for (const field of fields) field(message);
  };
  plans.set(schema, plan);
  return plan;
}

/** Writes the field if the message has it. */
function planField(field: DescField): Write<Values> {
  const name = field.localName;
  const write = planPresent(field);
  if (field.oneof !== undefined) {
    const group = field.oneof.localName;
    return (message) => {
      const chosen = message[group] as { readonly case?: string; readonly value?: unknown } | undefined;
      if (chosen?.case === name) write(chosen.value);
    };
  }
  const isImplicit = field.presence === IMPLICIT;
  return (message) => {
    const value = message[name];
    if (value !== undefined && !(isImplicit && isZero(value))) write(value);
  };
}

/** What stands for "not set" where the wire does not tell the difference. -0 is a value: for a double it has bytes of its own. */
function isZero(value: unknown): boolean {
  return (
    Object.is(value, 0) || value === 0n || value === "" || value === false || (value instanceof Uint8Array && value.length === 0)
  );
}

/** Writes a field's value with its tag. */
function planPresent(field: DescField): Write<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return tagged(field.number, field.scalar, planScalar(field.scalar));
    case "enum":
      return tagged(field.number, ScalarType.UINT32, planScalar(ScalarType.UINT32));
    case "message":
      return within(field.number, (value) => planOf(field.message)(value as Values));
    case "list":
      return planList(field);
    case "map":
      return planMap(field);
  }
}

function planList(field: DescField & { fieldKind: "list" }): Write<unknown> {
  if (field.listKind === "message") return each(within(field.number, (value) => planOf(field.message)(value as Values)));
  const type = field.listKind === "enum" ? ScalarType.UINT32 : field.scalar;
  const write = planScalar(type);
  if (!field.packed) return each(tagged(field.number, type, write));
  const packed = within(field.number, each(write));
  return (values) => {
    if ((values as readonly unknown[]).length > 0) packed(values);
  };
}

function planMap(field: DescField & { fieldKind: "map" }): Write<unknown> {
  if (field.mapKind !== "scalar") throw unsupported(`maps such as ${field}`);
  const key = tagged(1, field.mapKey, planScalar(field.mapKey));
  const value = tagged(2, field.scalar, planScalar(field.scalar));
  const entry = within(field.number, (pair) => {
    value((pair as readonly unknown[])[1]);
    key((pair as readonly unknown[])[0]);
  });
  const all = each(entry);
  return (map) => all(Object.entries(map as object));
}

/** From the last to the first, as everything is written. */
function each(write: Write<unknown>): Write<unknown> {
  return (values) => {
    const list = values as readonly unknown[];
    for (let at = list.length - 1; at >= 0; at -= 1) write(list[at]);
  };
}

/** Puts a length and a tag before what `write` writes. */
function within(number: number, write: Write<unknown>): Write<unknown> {
  const tag = (number << 3) | WIRE.delimited;
  return (value) => {
    const before = out.size;
    write(value);
    out.whole(out.size - before);
    out.whole(tag);
  };
}

function tagged(number: number, type: ScalarType, write: Write<unknown>): Write<unknown> {
  const wireType = wireTypeOf(type);
  if (wireType === WIRE.delimited) return within(number, write);
  const tag = (number << 3) | wireType;
  return (value) => {
    write(value);
    out.whole(tag);
  };
}

/** The types that our protocol uses. */
function planScalar(type: ScalarType): Write<unknown> {
  switch (type) {
    case ScalarType.UINT32:
      return (value) => out.whole(value as number);
    case ScalarType.UINT64:
      return (value) => out.uint64(value as bigint);
    case ScalarType.SINT64:
      return (value) => out.uint64(zigzag(value as bigint));
    case ScalarType.FIXED64:
      return (value) => out.fixed64(value as bigint);
    case ScalarType.DOUBLE:
      return (value) => out.double(value as number);
    case ScalarType.BOOL:
      return (value) => out.whole(value === true ? 1 : 0);
    case ScalarType.STRING:
      return (value) => out.text(value as string);
    case ScalarType.BYTES:
      return (value) => out.bytes(value as Uint8Array);
    default:
      throw unsupported(`scalar type ${ScalarType[type]}`);
  }
}

function zigzag(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
}

function unsupported(what: string): MeridianError {
  return new MeridianError("INTERNAL", `there is no encoder for ${what}`);
}
