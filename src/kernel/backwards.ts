import { invariant } from "./errors.ts";

const UINT64_MAX = 2n ** 64n - 1n;

/** Bytes that are written from the last to the first, in memory that grows to the longest message and is used again. */
export class Backwards {
  #memory = Buffer.allocUnsafeSlow(64 * 1024);
  #view = new DataView(this.#memory.buffer);
  /** Where the first byte stands. */
  #at = this.#memory.length;

  begin(): void {
    this.#at = this.#memory.length;
  }

  /** How many bytes have been written. */
  get size(): number {
    return this.#memory.length - this.#at;
  }

  copyTo(target: Uint8Array): void {
    target.set(this.#memory.subarray(this.#at));
  }

  bytes(bytes: Uint8Array): void {
    this.#take(bytes.length);
    this.#memory.set(bytes, this.#at);
  }

  /** As UTF-8. Most texts are short and ASCII, and are written by themselves sooner than Node could be asked to. */
  text(text: string): void {
    const { length } = text;
    this.#take(length);
    for (let i = 0; i < length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.#at += length;
        this.bytes(Buffer.from(text, "utf8"));
        return;
      }
      this.#memory[this.#at + i] = unit;
    }
  }

  /** A varint of a whole number up to 2⁵³ − 1. */
  whole(value: number): void {
    invariant(Number.isSafeInteger(value) && value >= 0, "a number on the wire is whole and not negative");
    let length = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
    this.#take(length);
    let rest = value;
    let at = this.#at;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
      this.#memory[at] = (rest % 0x80) | 0x80;
      at += 1;
    }
    this.#memory[at] = rest;
  }

  /** A varint of up to 64 bits. */
  uint64(value: bigint): void {
    if (value <= Number.MAX_SAFE_INTEGER) {
      this.whole(Number(value));
      return;
    }
    invariant(value <= UINT64_MAX, "a number on the wire has at most 64 bits");
    // Seven groups of seven bits, each with the sign that more follow, and before them in value, behind them here, the rest.
    this.whole(Number(value >> 49n));
    this.#take(7);
    let rest = Number(value & 0x1_ffff_ffff_ffffn);
    for (let i = 0; i < 7; i += 1) {
      this.#memory[this.#at + i] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
  }

  fixed64(value: bigint): void {
    this.#take(8);
    this.#view.setBigUint64(this.#at, value, true);
  }

  double(value: number): void {
    this.#take(8);
    this.#view.setFloat64(this.#at, value, true);
  }

  #take(bytes: number): void {
    if (bytes > this.#at) this.#grow(bytes);
    this.#at -= bytes;
  }

  #grow(bytes: number): void {
    const { size } = this;
    const larger = Buffer.allocUnsafeSlow(2 * Math.max(this.#memory.length, size + bytes));
    larger.set(this.#memory.subarray(this.#at), larger.length - size);
    this.#memory = larger;
    this.#view = new DataView(larger.buffer);
    this.#at = larger.length - size;
  }
}
