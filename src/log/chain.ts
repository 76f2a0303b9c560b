import { MeridianError } from "../kernel/errors.ts";
import { type Hash, ROOT_HASH } from "../kernel/hash.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Batch, Watermark } from "./batch.ts";

/**
 * Which of the batches that were read are the log (R5). Rows of several leaders stand at the same seq, and nothing in a row
 * says whether it was ever committed; nor does a row of a high epoch, nor one that the next row links to, for that one may be
 * dead too. But every watermark was true when it was written, and its hash names everything before it: what is reached
 * by walking *backwards* from a watermark is the log, and nothing else is.
 */
export class Chain {
  readonly #conversation: string;
  readonly #telemetry: Telemetry;
  readonly #batches = new Map<Hash, Batch>();
  readonly #watermarks = new Map<number, Hash>([[0, ROOT_HASH]]);

  constructor(conversation: string, telemetry: Telemetry) {
    this.#conversation = conversation;
    this.#telemetry = telemetry;
  }

  /** Takes a watermark that was true when it was written. Throws CORRUPT after a fork. */
  learn(watermark: Watermark): void {
    const present = this.#watermarks.get(watermark.seq);
    if (present === undefined) this.#watermarks.set(watermark.seq, watermark.hash);
    else if (present !== watermark.hash) this.#fork(watermark.seq, present, watermark.hash);
  }

  /** Takes a batch that may or may not belong to the log. */
  add(batch: Batch): void {
    this.#batches.set(batch.hash, batch);
  }

  /**
   * The log from the batch that holds `seq` up to the highest watermark, not above `upTo`, from which that batch is
   * reached; undefined if it is reached from none. Throws CORRUPT after a fork.
   */
  from(seq: number, upTo: number): readonly Batch[] | undefined {
    const ends = [...this.#watermarks].filter(([end]) => end >= seq && end <= upTo).sort(([a], [b]) => b - a);
    const walked = new Set<Hash>();
    for (const [end, hash] of ends) {
      const batches = this.#walkBack({ seq: end, hash }, seq, walked);
      if (batches !== undefined) {
        this.#compare(batches);
        return batches;
      }
    }
    return undefined;
  }

  /** `walked` keeps what a walk has passed: whoever comes there again ends where that one ended. */
  #walkBack(end: Watermark, seq: number, walked: Set<Hash>): readonly Batch[] | undefined {
    const batches: Batch[] = [];
    for (let at = end; !walked.has(at.hash); ) {
      walked.add(at.hash);
      const batch = this.#batches.get(at.hash);
      if (batch === undefined || batch.lastSeq !== at.seq) return undefined;
      batches.push(batch);
      if (batch.firstSeq <= seq) return batches.reverse();
      at = { seq: batch.firstSeq - 1, hash: batch.prevHash };
    }
    return undefined;
  }

  /** A true watermark within the log's batches is the end of one of them. */
  #compare(batches: readonly Batch[]): void {
    const ends = new Map(batches.map((batch) => [batch.lastSeq, batch.hash]));
    const first = batches[0]?.firstSeq ?? 0;
    const last = batches.at(-1)?.lastSeq ?? 0;
    for (const [seq, hash] of this.#watermarks) {
      if (seq >= first && seq <= last && ends.get(seq) !== hash) this.#fork(seq, ends.get(seq) ?? "inside a batch", hash);
    }
  }

  #fork(seq: number, hash: string, otherHash: string): never {
    const details = { conversation: this.#conversation, seq: String(seq), hash, otherHash };
    this.#telemetry.log("error", "log.fork", details);
    throw new MeridianError("CORRUPT", `two histories of ${JSON.stringify(this.#conversation)} were committed at seq ${seq}`, {
      advice: "Stop the nodes that lead this conversation, keep the data of all replicas, and compare their rows at this seq.",
      details,
    });
  }
}
