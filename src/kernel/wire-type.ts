import { ScalarType } from "@bufbuild/protobuf";

/** How a field's value stands on the wire. */
export const WIRE = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const;

/** Of the types that our protocol uses. */
export function wireTypeOf(type: ScalarType): number {
  if (type === ScalarType.STRING || type === ScalarType.BYTES) return WIRE.delimited;
  return type === ScalarType.FIXED64 || type === ScalarType.DOUBLE ? WIRE.fixed64 : WIRE.varint;
}
