import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WatermarkSchema, Watermark as WireWatermark } from "../gen/meridian/v1/types_pb.ts";
import { hashFromBytes, hashToBytes } from "../kernel/hash.ts";
import type { Watermark } from "../log/batch.ts";

export function watermarkToWire({ seq, hash }: Watermark): MessageInitShape<typeof WatermarkSchema> {
  return { seq: BigInt(seq), hash: hashToBytes(hash) };
}

export function watermarkFromWire({ seq, hash }: WireWatermark): Watermark {
  return { seq: Number(seq), hash: hashFromBytes(hash) };
}
