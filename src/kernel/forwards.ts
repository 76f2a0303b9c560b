import { WIRE } from "./wire-type.ts";

const TAG_BYTES = 5;
const UINT32_MAX = 2 ** 32 - 1;
/** So many bytes of a varint, of seven bits each, are exact in a number. */
const EXACT_BYTES = 7;
const VARINT_BYTES = 10;
const NOTHING = new Uint8Array();
const strict = new TextDecoder("utf-8", { fatal: true });

/**
 * The bytes of a message, read from the first to the last. Whatever is wrong with them throws an Error that says what. It refuses
 * more than the library does: groups, which nobody writes any more, and inner messages that go beyond their outer one.
 */
export class Forwards {
  readonly #bytes: Uint8Array;
  /** Other views of the same memory, for those who need them: to make one takes longer than to read a small message. */
  #view: DataView | undefined;
  #buffer: Buffer | undefined;
  #at = 0;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  get isOver(): boolean {
    return this.#at >= this.#end;
  }

  /** A field's number and the way its value stands here: `number << 3 | wire type`. */
  tag(): number {
    const begin = this.#at;
    const tag = this.whole();
    if (tag > UINT32_MAX || this.#at - begin > TAG_BYTES || tag >>> 3 === 0) throw new Error("it has a field without a number");
    return tag;
  }

  /** A varint up to 2⁵³ − 1. */
  whole(): number {
    let value = 0;
    let scale = 1;
    for (let bytes = 0; bytes < VARINT_BYTES; bytes += 1) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80 && value <= Number.MAX_SAFE_INTEGER) return value;
      if (byte < 0x80) break;
      scale *= 0x80;
    }
    throw new Error("it has a number that is too large");
  }

  /** A varint below 2³². */
  uint32(): number {
    const value = this.whole();
    if (value > UINT32_MAX) throw new Error("it has a number that is too large");
    return value;
  }

  /** A varint of up to 64 bits; what a tenth byte has beyond them does not count. */
  uint64(): bigint {
    let low = 0;
    for (let bytes = 0, scale = 1; bytes < EXACT_BYTES; bytes += 1, scale *= 0x80) {
      const byte = this.#byte();
      low += (byte & 0x7f) * scale;
      if (byte < 0x80) return BigInt(low);
    }
    let high = 0;
    for (let bytes = EXACT_BYTES, scale = 1; bytes < VARINT_BYTES; bytes += 1, scale *= 0x80) {
      const byte = this.#byte();
      high += (byte & 0x7f) * scale;
      if (byte < 0x80) return BigInt.asUintN(64, (BigInt(high) << 49n) | BigInt(low));
    }
    throw new Error("it has a number of more than ten bytes");
  }

  fixed64(): bigint {
    return this.#numbers().getBigUint64(this.#skip(8), true);
  }

  double(): number {
    return this.#numbers().getFloat64(this.#skip(8), true);
  }

  /** A view of the same memory. */
  bytes(): Uint8Array {
    const length = this.whole();
    const begin = this.#skip(length);
    return length === 0 ? NOTHING : this.#bytes.subarray(begin, begin + length);
  }

  /** Most texts are short and ASCII: for them Node has a way that is ten times as fast. */
  text(): string {
    const begin = this.#skip(this.whole());
    if (!this.#isAscii(begin, this.#at)) return this.#decode(begin, this.#at);
    this.#buffer ??= Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    return this.#buffer.toString("latin1", begin, this.#at);
  }

  /** Goes over a text, which must be UTF-8; answers its bytes. */
  skipText(): number {
    const begin = this.#skip(this.whole());
    if (!this.#isAscii(begin, this.#at)) this.#decode(begin, this.#at);
    return this.#at - begin;
  }

  /** Goes into the inner message that begins with its length here: that is all there is, until `leave` is told the answer. */
  enter(): number {
    const outer = this.#end;
    const length = this.whole();
    this.#at = this.#skip(length);
    this.#end = this.#at + length;
    return outer;
  }

  /** The inner message is over. */
  leave(outer: number): void {
    this.#end = outer;
  }

  /** Goes over a value; answers the bytes that stand behind its length, if it has one. */
  skip(wireType: number): number {
    const length = wireType === WIRE.delimited ? this.whole() : 0;
    if (wireType === WIRE.varint) this.uint64();
    else if (wireType === WIRE.fixed64) this.#skip(8);
    else if (wireType === WIRE.fixed32) this.#skip(4);
    else if (wireType === WIRE.delimited) this.#skip(length);
    else throw new Error("it has a group");
    return length;
  }

  /** Answers where the bytes begin that it goes over. */
  #skip(bytes: number): number {
    const begin = this.#at;
    if (bytes > this.#end - begin) throw new Error("it is cut off");
    this.#at = begin + bytes;
    return begin;
  }

  #numbers(): DataView {
    this.#view ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    return this.#view;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new Error("it is cut off");
    const byte = this.#bytes[this.#at] as number;
    this.#at += 1;
    return byte;
  }

  #isAscii(begin: number, end: number): boolean {
    for (let at = begin; at < end; at += 1) if ((this.#bytes[at] as number) >= 0x80) return false;
    return true;
  }

  #decode(begin: number, end: number): string {
    try {
      return strict.decode(this.#bytes.subarray(begin, end));
    } catch (cause) {
      throw new Error("its text is not UTF-8", { cause });
    }
  }
}
