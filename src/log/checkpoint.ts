import { CheckpointSchema, type DedupState } from "../gen/meridian/v1/stored_pb.ts";
import { decode } from "../kernel/decode.ts";
import { encode } from "../kernel/encode.ts";
import { MeridianError } from "../kernel/errors.ts";
import { hash128, hashFromBytes, hashToBytes } from "../kernel/hash.ts";
import type { Watermark } from "./batch.ts";

/** A conversation's state as of its watermark (R10): never ahead of it, or a recovery would count messages twice. */
export interface Checkpoint {
  readonly watermark: Watermark;
  /** The id of the message at the watermark; 0n for an empty log. */
  readonly lastId: bigint;
  readonly dedup: DedupState;
}

const CHECKSUM_BYTES = 16;

export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const body = encode(CheckpointSchema, {
    seq: BigInt(checkpoint.watermark.seq),
    hash: hashToBytes(checkpoint.watermark.hash),
    lastId: checkpoint.lastId,
    dedup: checkpoint.dedup,
  });
  return Buffer.concat([hashToBytes(hash128([body])), body]);
}

/** Throws CORRUPT. */
export function decodeCheckpoint(conversation: string, bytes: Uint8Array): Checkpoint {
  const body = bytes.subarray(CHECKSUM_BYTES);
  if (hashFromBytes(bytes.subarray(0, CHECKSUM_BYTES)) !== hash128([body])) {
    throw new MeridianError("CORRUPT", `a checkpoint of ${JSON.stringify(conversation)} is damaged`, {
      advice: "Delete this checkpoint row: the log is read from the one before, or from its beginning.",
      details: { conversation },
    });
  }
  const stored = decode(CheckpointSchema, body);
  if (stored.dedup === undefined) throw new MeridianError("CORRUPT", "a checkpoint has no dedup state");
  return {
    watermark: { seq: Number(stored.seq), hash: hashFromBytes(stored.hash) },
    lastId: stored.lastId,
    dedup: stored.dedup,
  };
}
