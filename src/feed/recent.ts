import { invariant } from "../kernel/errors.ts";
import type { Hash } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Batch, Watermark } from "../log/batch.ts";

/**
 * The memory that all rings of a node share. When it is used up, the conversation that was silent longest loses its ring:
 * its readers find everything in the log.
 */
export class RecentMemory {
  readonly #limitBytes: number;
  /** Least recently grown first. */
  readonly #rings = new Set<RecentBatches>();
  #bytes = 0;

  constructor(limitBytes: number = LIMITS.recentBytesNode) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  grew(ring: RecentBatches, bytes: number): void {
    this.#rings.delete(ring);
    this.#rings.add(ring);
    this.#bytes += bytes;
    for (const oldest of this.#rings) {
      if (this.#bytes <= this.#limitBytes) return;
      oldest.clear();
    }
  }

  shrank(bytes: number): void {
    this.#bytes -= bytes;
  }

  emptied(ring: RecentBatches): void {
    this.#rings.delete(ring);
  }
}

/** The recent batches of one conversation, each chained on to the one before; bounded, the oldest go first. */
export class RecentBatches {
  readonly #memory: RecentMemory;
  readonly #limitBytes: number;
  #batches: Batch[] = [];
  /** Where the held batches begin in `#batches`; what stands before it has been dropped. */
  #start = 0;
  #bytes = 0;

  constructor(memory: RecentMemory, limitBytes: number = LIMITS.recentBytes) {
    this.#memory = memory;
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(batch: Batch): void {
    const last = this.#batches.at(-1);
    invariant(
      last === undefined || (batch.firstSeq === last.lastSeq + 1 && batch.prevHash === last.hash),
      "recent batches form a chain",
    );
    this.#batches.push(batch);
    this.#bytes += batch.bytes.length;
    const before = this.#bytes;
    while (this.#bytes > this.#limitBytes && this.#batches.length - this.#start > 1) this.#dropFirst();
    this.#memory.shrank(before - this.#bytes);
    this.#memory.grew(this, batch.bytes.length);
  }

  clear(): void {
    this.#memory.shrank(this.#bytes);
    this.#memory.emptied(this);
    this.#batches = [];
    this.#start = 0;
    this.#bytes = 0;
  }

  /** The batches from the one that holds `seq` on, up to `limitBytes` but at least one; undefined if that one is not held. */
  from(seq: number, limitBytes: number): readonly Batch[] | undefined {
    const start = this.#find(seq);
    if (start === undefined) return undefined;
    return upTo(limitBytes, this.#batches, start);
  }

  /**
   * Whether the held chain goes through this watermark. undefined: it says nothing about that seq. A seq inside a batch
   * cannot be a watermark of the same chain: batches are its links.
   */
  agrees(watermark: Watermark): boolean | undefined {
    const first = this.#batches[this.#start];
    if (first !== undefined && watermark.seq === first.firstSeq - 1) return watermark.hash === first.prevHash;
    const at = this.#find(watermark.seq);
    if (at === undefined) return undefined;
    const batch = this.#batches[at] as Batch;
    const hash: Hash | undefined = batch.lastSeq === watermark.seq ? batch.hash : undefined;
    return hash === watermark.hash;
  }

  /** The index of the batch that holds `seq`, by bisection. */
  #find(seq: number): number | undefined {
    let low = this.#start;
    let high = this.#batches.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const batch = this.#batches[middle] as Batch;
      if (seq < batch.firstSeq) high = middle - 1;
      else if (seq > batch.lastSeq) low = middle + 1;
      else return middle;
    }
    return undefined;
  }

  #dropFirst(): void {
    this.#bytes -= (this.#batches[this.#start] as Batch).bytes.length;
    this.#start += 1;
    // Cut off in steps: cutting one batch at a time would move all the others each time.
    if (this.#start * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#start);
      this.#start = 0;
    }
  }
}

/** The batches from index `start` on, up to `limitBytes` but at least one if there is one. */
export function upTo(limitBytes: number, batches: readonly Batch[], start = 0): readonly Batch[] {
  let end = start;
  let bytes = 0;
  for (; end < batches.length; end += 1) {
    bytes += (batches[end] as Batch).bytes.length;
    if (bytes > limitBytes && end > start) break;
  }
  return batches.slice(start, end);
}
