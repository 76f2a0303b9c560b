/**
 * The log store's keys. LMDB orders keys by their bytes, so every part is big-endian, and a name stands behind its length:
 * all keys of one conversation lie together, and none is a prefix of another's.
 *
 * The bucket of R1 is no part of a row's key: it is a function of firstSeq, and here it bounds a read, not a partition.
 */
const encoder = new TextEncoder();

export function conversationKey(conversation: string): Buffer {
  return nameKey([conversation], 0);
}

/** `epoch` 0n sorts before, and thus bounds, every row of the seq. */
export function rowKey(conversation: string, firstSeq: number, epoch: bigint): Buffer {
  const key = nameKey([conversation], 16);
  writeSeq(key, key.length - 16, firstSeq);
  key.writeBigUInt64BE(epoch, key.length - 8);
  return key;
}

export function rowOfKey(key: Uint8Array): { readonly firstSeq: number; readonly epoch: bigint } {
  const bytes = bufferOf(key);
  return { firstSeq: readSeq(bytes, bytes.length - 16), epoch: bytes.readBigUInt64BE(bytes.length - 8) };
}

/** The seq is in the key, so that the newest one is found without reading megabytes of the others. */
export function checkpointKey(conversation: string, epoch: bigint, seq: number): Buffer {
  const key = nameKey([conversation], 16);
  key.writeBigUInt64BE(epoch, key.length - 16);
  writeSeq(key, key.length - 8, seq);
  return key;
}

export function checkpointOfKey(key: Uint8Array): { readonly epoch: bigint; readonly seq: number } {
  const bytes = bufferOf(key);
  return { epoch: bytes.readBigUInt64BE(bytes.length - 16), seq: readSeq(bytes, bytes.length - 8) };
}

export function cursorKey(conversation: string, consumer: string): Buffer {
  return nameKey([conversation, consumer], 0);
}

export function shardKey(shard: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(shard);
  return key;
}

/** The first key behind all that begin with `prefix`. */
export function afterAll(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at--) {
    const byte = end[at] as number;
    if (byte < 0xff) {
      end[at] = byte + 1;
      return end.subarray(0, at + 1);
    }
  }
  return end;
}

/** The first possible key behind this one. */
export function justAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

/** The names that a key begins with. */
export function namesOfKey(key: Uint8Array, count: number): string[] {
  const bytes = bufferOf(key);
  let at = 0;
  return Array.from({ length: count }, () => {
    const end = at + 2 + bytes.readUInt16BE(at);
    const name = bytes.toString("utf8", at + 2, end);
    at = end;
    return name;
  });
}

export function writeSeq(target: Buffer, at: number, seq: number): void {
  target.writeUInt32BE(Math.floor(seq / 2 ** 32), at);
  target.writeUInt32BE(seq % 2 ** 32, at + 4);
}

export function readSeq(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * 2 ** 32 + source.readUInt32BE(at + 4);
}

export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function nameKey(names: readonly string[], room: number): Buffer {
  const encoded = names.map((name) => encoder.encode(name));
  const key = Buffer.allocUnsafe(encoded.reduce((length, name) => length + 2 + name.length, room));
  let at = 0;
  for (const name of encoded) {
    at = key.writeUInt16BE(name.length, at);
    key.set(name, at);
    at += name.length;
  }
  return key;
}
