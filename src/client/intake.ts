/**
 * What a subscription has received, made one gap-free and verified sequence (G1, G4).
 *
 * Batches may come twice (a new session pushes again what the last one had under way), too early (something before them is
 * missing) or not at all. The tempting ideas: to trust that a stream keeps the order (it does, until the node behind it
 * changes), or to count messages (off by one, and a loss hides for years). The idea used: every batch names the hash of the
 * batch before it, so the next one is not the one with the right number but the one that chains on to what is here. A batch
 * that fits by number but not by hash is a forked or damaged log: nothing of it is handed over.
 */
import { MeridianError } from "../kernel/errors.ts";
import { type Hash, ROOT_HASH } from "../kernel/hash.ts";
import type { Batch, Entry, Watermark } from "../log/batch.ts";
import { type Arrival, ReorderBuffer } from "./reorder-buffer.ts";

/** The next step of the sequence, as the application's side takes it. */
export type Item =
  | {
      readonly kind: "entry";
      readonly seq: number;
      readonly id: bigint;
      readonly entry: Entry;
      readonly credit: number;
      readonly bytes: number;
    }
  /** Nothing to hand over up to this seq. */
  | { readonly kind: "moved"; readonly seq: number }
  /** The log is no longer kept between `after` and `seq`. */
  | { readonly kind: "truncated"; readonly after: number; readonly seq: number };

/** More than the batches that a leader has in flight: a batch's embedded watermark lies among them. */
const HASHES = 32;

interface Ready {
  readonly arrival: Arrival;
  /** The next entry's index. */
  at: number;
}

type Step = Ready | Exclude<Item, { kind: "entry" }>;

export class Intake {
  readonly #conversation: string;
  readonly #buffer = new ReorderBuffer();
  readonly #ready: Step[] = [];
  #readyBytes = 0;
  #readyCredit = 0;
  /** The last seq received without a gap. */
  #tipSeq: number;
  /** Chain hashes that are known, by the seq where they hold. */
  readonly #hashes = new Map<number, Hash>([[0, ROOT_HASH]]);

  constructor(conversation: string, after: number) {
    this.#conversation = conversation;
    this.#tipSeq = after;
  }

  get tipSeq(): number {
    return this.#tipSeq;
  }

  /** The last batch that was verified, if any. */
  get proof(): Watermark | undefined {
    const hash = this.#hashes.get(this.#tipSeq);
    return hash === undefined ? undefined : { seq: this.#tipSeq, hash };
  }

  /** Credit that what waits here has used up. */
  get heldCredit(): number {
    return this.#readyCredit + this.#buffer.credit;
  }

  /** Bytes that wait for the application. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  /** What is missing before something that has come already. */
  get hole(): { readonly fromSeq: number; readonly toSeq: number } | undefined {
    if (this.#buffer.promisedSeq <= this.#tipSeq) return undefined;
    const parked = this.#buffer.firstSeq;
    return { fromSeq: this.#tipSeq + 1, toSeq: parked === undefined ? this.#buffer.promisedSeq : parked - 1 };
  }

  /** A node's word on the chain. Throws CORRUPT when it contradicts what is here. */
  vouch(watermark: Watermark): void {
    this.#check(watermark.seq, watermark.hash);
    this.#learn(watermark.seq, watermark.hash);
  }

  /** Takes a batch in, at once or for later. Answers the credit of what was dropped. Throws CORRUPT. */
  accept(arrival: Arrival): number {
    const { batch } = arrival;
    if (batch.lastSeq <= this.#tipSeq) {
      this.#check(batch.lastSeq, batch.hash);
      return arrival.credit;
    }
    if (batch.firstSeq > this.#tipSeq + 1) return this.#buffer.park(arrival)?.credit ?? 0;
    this.#take(arrival);
    for (let next = this.#buffer.take(this.#tipSeq + 1); next; next = this.#buffer.take(this.#tipSeq + 1)) this.#take(next);
    return creditOf(this.#buffer.dropThrough(this.#tipSeq));
  }

  /** Goes on after `seq`, because the log before is not kept, or because another reader of the cursor has handled it. */
  jump(kind: "moved" | "truncated", seq: number): number {
    if (seq <= this.#tipSeq) return 0;
    this.#ready.push(kind === "moved" ? { kind, seq } : { kind, seq, after: this.#tipSeq });
    this.#tipSeq = seq;
    const dropped = creditOf(this.#buffer.dropThrough(seq));
    const next = this.#buffer.take(seq + 1);
    return next === undefined ? dropped : dropped + this.accept(next);
  }

  /** Forgets what a node said that was not verified: what waits for its turn, and hashes ahead. */
  distrust(): void {
    this.#buffer.clear();
    for (const seq of this.#hashes.keys()) if (seq > this.#tipSeq) this.#hashes.delete(seq);
  }

  next(): Item | undefined {
    const step = this.#ready[0];
    if (step === undefined) return undefined;
    if ("kind" in step) {
      this.#ready.shift();
      return step;
    }
    const { batch, credit } = step.arrival;
    const { at } = step;
    step.at += 1;
    const isLast = step.at === batch.entries.length;
    if (isLast) this.#ready.shift();
    return {
      kind: "entry",
      seq: batch.firstSeq + at,
      id: batch.firstId + BigInt(at),
      entry: batch.entries[at] as Entry,
      credit: isLast ? credit : 0,
      bytes: isLast ? batch.bytes.length : 0,
    };
  }

  /** The application has handled the item. */
  release(item: Item): void {
    if (item.kind !== "entry") return;
    this.#readyBytes -= item.bytes;
    this.#readyCredit -= item.credit;
  }

  #take(arrival: Arrival): void {
    const { batch } = arrival;
    // A subscription may start inside a batch; from then on only whole ones follow each other.
    if (batch.firstSeq <= this.#tipSeq && this.#hashes.has(this.#tipSeq)) throw this.#doubt(batch.firstSeq);
    this.#check(batch.firstSeq - 1, batch.prevHash);
    this.#check(batch.lastSeq, batch.hash);
    this.#check(batch.watermark.seq, batch.watermark.hash);
    this.#learn(batch.lastSeq, batch.hash);
    const from = this.#tipSeq + 1 - batch.firstSeq;
    this.#tipSeq = batch.lastSeq;
    this.#ready.push({ arrival, at: from });
    this.#readyBytes += batch.bytes.length;
    this.#readyCredit += arrival.credit;
  }

  #check(seq: number, hash: Hash): void {
    const known = this.#hashes.get(seq);
    if (known !== undefined && known !== hash) throw this.#doubt(seq);
  }

  #learn(seq: number, hash: Hash): void {
    this.#hashes.set(seq, hash);
    for (const old of this.#hashes.keys()) {
      if (this.#hashes.size <= HASHES) return;
      if (old !== this.#tipSeq) this.#hashes.delete(old);
    }
  }

  #doubt(seq: number): MeridianError {
    return new MeridianError("CORRUPT", `the log of ${JSON.stringify(this.#conversation)} does not chain at seq ${seq}`, {
      details: { conversation: this.#conversation, seq: String(seq) },
      advice: "Nothing doubtful was handed over. Compare the heads of the regions before going on.",
    });
  }
}

function creditOf(arrivals: readonly Arrival[]): number {
  return arrivals.reduce((sum, { credit }) => sum + credit, 0);
}

/** The largest id in a batch. */
export function lastIdOf(batch: Batch): bigint {
  return batch.firstId + BigInt(batch.entries.length - 1);
}
