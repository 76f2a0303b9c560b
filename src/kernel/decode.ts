/**
 * Protobuf bytes as messages: what a node takes in, and what a reader gets, passes here.
 *
 * The counterpart of encode.ts, for the same reason: the library's decoder asks reflection about each field of each message. Of
 * each type's schema a plan is made once: a blank message to copy, and a function for each field number.
 */
import { create, type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { MeridianError } from "./errors.ts";
import { Forwards } from "./forwards.ts";
import { WIRE, wireTypeOf } from "./wire-type.ts";

type Values = Record<string, unknown>;
type Take = (from: Forwards) => unknown;
type TakeField = (from: Forwards, wireType: number, into: Values) => void;

interface Plan {
  readonly blank: () => Values;
  /** By field number. */
  readonly fields: readonly (TakeField | undefined)[];
}

const plans = new WeakMap<DescMessage, Plan>();

/**
 * What the library would read, but for fields that this version does not know: they are left out. The message's `bytes` fields
 * are views of the same memory. Throws an Error that says what is wrong.
 */
export function decode<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> {
  const plan = planOf(schema);
  return takeAll(plan, new Forwards(bytes), plan.blank()) as MessageShape<D>;
}

function takeAll(plan: Plan, from: Forwards, into: Values): Values {
  while (!from.isOver) {
    const tag = from.tag();
    const take = plan.fields[tag >>> 3];
    if (take === undefined) from.skip(tag & 7);
    else take(from, tag & 7, into);
  }
  return into;
}

function takeInner(plan: Plan, from: Forwards, into: Values): Values {
  const outer = from.enter();
  takeAll(plan, from, into);
  from.leave(outer);
  return into;
}

function planOf(schema: DescMessage): Plan {
  const known = plans.get(schema);
  if (known !== undefined) return known;
  const fields: (TakeField | undefined)[] = [];
  const plan = { blank: blankOf(schema), fields };
  plans.set(schema, plan);
  for (const field of schema.fields) fields[field.number] = planField(field);
  return plan;
}

/** A message without a field: lists, maps and the choice of a oneof are its own, everything else can be shared. */
function blankOf(schema: DescMessage): () => Values {
  const blank: Values = { ...create(schema) };
  const lists = schema.fields.filter(({ fieldKind }) => fieldKind === "list").map(({ localName }) => localName);
  const maps = schema.fields.filter(({ fieldKind }) => fieldKind === "map").map(({ localName }) => localName);
  const oneofs = schema.oneofs.map(({ localName }) => localName);
  return () => {
    const message = { ...blank };
    for (const name of lists) message[name] = [];
    for (const name of maps) message[name] = {};
    for (const name of oneofs) message[name] = { case: undefined };
    return message;
  };
}

function planField(field: DescField): TakeField {
  switch (field.fieldKind) {
    case "scalar":
      return planValue(field, field.scalar);
    case "enum":
      return planValue(field, ScalarType.INT32);
    case "message":
      return planMessage(field);
    case "list":
      return planList(field);
    case "map":
      return planMap(field);
  }
}

/** Puts a value where it belongs: into its own field, or into that of the choice which it is part of. */
function setter({ localName, oneof }: DescField): (into: Values, value: unknown) => void {
  if (oneof === undefined) {
    return (into, value) => {
      into[localName] = value;
    };
  }
  return (into, value) => {
    into[oneof.localName] = { case: localName, value };
  };
}

function planValue(field: DescField, type: ScalarType): TakeField {
  const take = planScalar(type);
  const expected = wireTypeOf(type);
  const set = setter(field);
  return (from, wireType, into) => {
    check(field, wireType, expected);
    set(into, take(from));
  };
}

/** One that stands twice is one message, in two parts. */
function planMessage(field: DescField & { fieldKind: "message" }): TakeField {
  const { localName, oneof } = field;
  const set = setter(field);
  const present = (into: Values) => {
    if (oneof === undefined) return into[localName];
    const chosen = into[oneof.localName] as { readonly case?: string; readonly value?: unknown };
    return chosen.case === localName ? chosen.value : undefined;
  };
  return (from, wireType, into) => {
    check(field, wireType, WIRE.delimited);
    const plan = planOf(field.message);
    set(into, takeInner(plan, from, (present(into) as Values | undefined) ?? plan.blank()));
  };
}

function planList(field: DescField & { fieldKind: "list" }): TakeField {
  const list = (into: Values) => into[field.localName] as unknown[];
  if (field.listKind === "message") {
    return (from, wireType, into) => {
      check(field, wireType, WIRE.delimited);
      const plan = planOf(field.message);
      list(into).push(takeInner(plan, from, plan.blank()));
    };
  }
  const type = field.listKind === "enum" ? ScalarType.INT32 : field.scalar;
  const take = planScalar(type);
  const expected = wireTypeOf(type);
  return (from, wireType, into) => {
    const values = list(into);
    if (wireType === WIRE.delimited && expected !== WIRE.delimited) return takePacked(take, from, values);
    check(field, wireType, expected);
    values.push(take(from));
  };
}

function takePacked(take: Take, from: Forwards, values: unknown[]): void {
  const outer = from.enter();
  while (!from.isOver) values.push(take(from));
  from.leave(outer);
}

function planMap(field: DescField & { fieldKind: "map" }): TakeField {
  if (field.mapKind !== "scalar") throw unsupported(`maps such as ${field}`);
  const types = [field.mapKey, field.scalar];
  const takes = types.map(planScalar);
  const blank = types.map(zeroOf);
  return (from, wireType, into) => {
    check(field, wireType, WIRE.delimited);
    const pair = [...blank];
    const outer = from.enter();
    while (!from.isOver) {
      const tag = from.tag();
      const part = (tag >>> 3) - 1;
      const take = takes[part];
      // The library does not skip what it does not know here, but takes its value for the next field.
      if (take === undefined) throw new Error(`its field ${field.number} has more than keys and values`);
      check(field, tag & 7, wireTypeOf(types[part] as ScalarType));
      pair[part] = take(from);
    }
    from.leave(outer);
    // To "__proto__" JavaScript assigns no text and no number, and so neither does the library.
    (into[field.localName] as Values)[String(pair[0])] = pair[1];
  };
}

function check(field: DescField, wireType: number, expected: number): void {
  if (wireType !== expected) throw new Error(`its field ${field.number} has the wrong type`);
}

/** The types that our protocol uses. */
function planScalar(type: ScalarType): Take {
  switch (type) {
    case ScalarType.UINT32:
      return (from) => from.uint32();
    case ScalarType.INT32:
      return (from) => from.uint32() | 0;
    case ScalarType.UINT64:
      return (from) => from.uint64();
    case ScalarType.SINT64:
      return (from) => zagzig(from.uint64());
    case ScalarType.FIXED64:
      return (from) => from.fixed64();
    case ScalarType.DOUBLE:
      return (from) => from.double();
    case ScalarType.BOOL:
      return (from) => from.uint64() !== 0n;
    case ScalarType.STRING:
      return (from) => from.text();
    case ScalarType.BYTES:
      return (from) => from.bytes();
    default:
      throw unsupported(`scalar type ${ScalarType[type]}`);
  }
}

function zeroOf(type: ScalarType): unknown {
  if (type === ScalarType.STRING) return "";
  if (type === ScalarType.UINT64) return 0n;
  throw unsupported(`maps of scalar type ${ScalarType[type]}`);
}

function zagzig(value: bigint): bigint {
  return (value >> 1n) ^ -(value & 1n);
}

function unsupported(what: string): MeridianError {
  return new MeridianError("INTERNAL", `there is no decoder for ${what}`);
}
