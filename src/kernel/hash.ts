import { createHash, hash as hashAtOnce } from "node:crypto";

/** A 128-bit cryptographic hash as 32 lower-case hex digits: a string, because hashes are compared and used as keys. */
export type Hash = string;

/** The hash before the first batch of a conversation. */
export const ROOT_HASH: Hash = "0".repeat(32);

/** SHA-256 cut to 128 bits over the parts, each preceded by its length, so that no two lists of parts look alike. */
export function hash128(parts: readonly Uint8Array[]): Hash {
  const sha = createHash("sha256");
  const length = Buffer.alloc(8);
  for (const part of parts) {
    length.writeBigUInt64BE(BigInt(part.length));
    sha.update(length).update(part);
  }
  return sha.digest("hex").slice(0, 32);
}

export function hashToBytes(hash: Hash): Uint8Array {
  return Buffer.from(hash, "hex");
}

export function hashFromBytes(bytes: Uint8Array): Hash {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const MASK_64 = 0xffffffffffffffffn;

/** FNV-1a, 64 bits, of the text's UTF-8 bytes: placement only, so its slowness with bigint is of no account. */
export function fnv1a64(text: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of Buffer.from(text, "utf8")) hash = ((hash ^ BigInt(byte)) * FNV_PRIME) & MASK_64;
  return hash;
}

/**
 * Rendezvous hashing: of the candidates the one with the highest FNV-1a of `name NUL candidate`. When a candidate comes
 * or goes, only the names that it wins or held move.
 */
export function rendezvous(name: string, candidates: readonly string[]): string | undefined {
  let best: { candidate: string; weight: bigint } | undefined;
  for (const candidate of candidates) {
    const weight = fnv1a64(`${name}\0${candidate}`);
    if (best === undefined || weight > best.weight || (weight === best.weight && candidate > best.candidate)) {
      best = { candidate, weight };
    }
  }
  return best?.candidate;
}

const first64 = new DataView(new ArrayBuffer(8));

/**
 * The first 64 bits of the SHA-256; never 0n, which callers use for "none". It is taken of every message: in one call, and with
 * a text for an answer, because the objects that Node makes otherwise cost ten times as much as the hash.
 */
export function digest64(bytes: Uint8Array): bigint {
  const sha = hashAtOnce("sha256", bytes, "binary");
  for (let at = 0; at < 8; at += 1) first64.setUint8(at, sha.charCodeAt(at));
  return first64.getBigUint64(0) || 1n;
}
