/**
 * The batch: the unit of storing, forwarding and pushing (R2).
 *
 * It is encoded once, by the leader that gives out its seqs, and never again: the log, every node and every reader have
 * the same bytes. Two hashes guard it. The *hash* covers the conversation, the entries and the hash of the batch before:
 * the log is a chain, and one hash names everything up to it. The *checksum* covers the hash and the embedded watermark:
 * it tells damage from a batch that merely does not chain. The epoch is in neither, so that a later leader can write the
 * same bytes again under its own.
 */
import { BatchSchema, ContentSchema, type Entry as StoredEntry } from "../gen/meridian/v1/stored_pb.ts";
import { decode } from "../kernel/decode.ts";
import { encode } from "../kernel/encode.ts";
import { MeridianError } from "../kernel/errors.ts";
import { type Hash, hash128, hashFromBytes, hashToBytes, ROOT_HASH } from "../kernel/hash.ts";

/** Up to which seq a log is known to be committed, and its chain hash there. */
export interface Watermark {
  readonly seq: number;
  readonly hash: Hash;
}

/** The watermark of a conversation without messages. */
export const EMPTY: Watermark = { seq: 0, hash: ROOT_HASH };

/** One seq of a conversation, as stored.proto describes it; read or still to be written. */
export type Entry = Readonly<Omit<StoredEntry, "$typeName" | "$unknown">>;

/** A batch whose bytes have been checked. */
export interface Batch {
  readonly bytes: Uint8Array;
  readonly hash: Hash;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Entry i has id `firstId + i`. */
  readonly firstId: bigint;
  readonly prevHash: Hash;
  /** Entry i has seq `firstSeq + i`. */
  readonly entries: readonly Entry[];
  /** The leader's watermark when the batch was written. */
  readonly watermark: Watermark;
}

export interface NewBatch {
  readonly conversation: string;
  readonly firstSeq: number;
  readonly firstId: bigint;
  readonly prevHash: Hash;
  readonly entries: readonly Entry[];
  readonly watermark: Watermark;
}

export function encodeBatch(batch: NewBatch): Batch {
  const content = encode(ContentSchema, {
    firstSeq: BigInt(batch.firstSeq),
    firstId: batch.firstId,
    prevHash: hashToBytes(batch.prevHash),
    entries: batch.entries as StoredEntry[],
  });
  const hash = contentHash(batch.conversation, content);
  const bytes = encode(BatchSchema, {
    content,
    watermarkSeq: BigInt(batch.watermark.seq),
    watermarkHash: hashToBytes(batch.watermark.hash),
    checksum: hashToBytes(checksum(hash, batch.watermark)),
  });
  return {
    bytes,
    hash,
    firstSeq: batch.firstSeq,
    lastSeq: batch.firstSeq + batch.entries.length - 1,
    firstId: batch.firstId,
    prevHash: batch.prevHash,
    entries: batch.entries,
    watermark: batch.watermark,
  };
}

/** Checks and opens a batch of this conversation. Bodies are views of `bytes`. Throws CORRUPT, never "missing". */
export function decodeBatch(conversation: string, bytes: Uint8Array): Batch {
  try {
    const outer = decode(BatchSchema, bytes);
    const hash = contentHash(conversation, outer.content);
    const watermark = { seq: Number(outer.watermarkSeq), hash: hashFromBytes(outer.watermarkHash) };
    if (hashFromBytes(outer.checksum) !== checksum(hash, watermark)) throw new Error("its checksum does not match");
    const content = decode(ContentSchema, outer.content);
    if (content.entries.length === 0) throw new Error("it has no entries");
    const firstSeq = Number(content.firstSeq);
    return {
      bytes,
      hash,
      firstSeq,
      lastSeq: firstSeq + content.entries.length - 1,
      firstId: content.firstId,
      prevHash: hashFromBytes(content.prevHash),
      entries: content.entries,
      watermark,
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeridianError("CORRUPT", `a batch of ${JSON.stringify(conversation)} is damaged: ${why}`, {
      details: { conversation },
      cause,
    });
  }
}

const encoder = new TextEncoder();

function contentHash(conversation: string, content: Uint8Array): Hash {
  return hash128([encoder.encode(conversation), content]);
}

function checksum(hash: Hash, watermark: Watermark): Hash {
  return hash128([hashToBytes(hash), encoder.encode(String(watermark.seq)), hashToBytes(watermark.hash)]);
}
