import { IdLayout } from "../src/ids/layout.ts";
import { type Batch, decodeBatch } from "../src/log/batch.ts";
import type { MeridianNode } from "../src/node/node.ts";
import type { Row } from "../src/ports/log-store.ts";
import type { Guarantee } from "../src/verify/check.ts";

const LAYOUT = new IdLayout();

export interface Breach {
  readonly guarantee: Guarantee | "G9" | "bug";
  readonly sentence: string;
}

/**
 * Sees what no client sees, and notices a fork long before a reader would: two rows under one key, two hashes at one
 * watermark (every row carries one that was true when it was written), two nodes that may lead one conversation at one time.
 */
export class Witness {
  readonly breaches: Breach[] = [];
  /** The latest time that an id made now may have; infinite where clocks lie. */
  readonly #latestIdMs: () => number;
  /** Each id that was ever given out, and in which batch: also those of batches that nobody will ever see. */
  readonly #ids = new Map<bigint, string>();
  readonly #rows = new Map<string, Uint8Array>();
  /** By conversation and hash. */
  readonly #batches = new Map<string, { readonly firstSeq: number; readonly lastSeq: number; readonly prevHash: string }>();
  /** For each seq the batch in which it was called committed, and by whom. */
  readonly #committed = new Map<string, { readonly hash: string; readonly who: string }>();
  readonly #epochs = new Map<string, { readonly epoch: bigint; readonly who: string }>();

  constructor(latestIdMs: () => number = () => Number.POSITIVE_INFINITY) {
    this.#latestIdMs = latestIdMs;
  }

  breach(guarantee: Breach["guarantee"], sentence: string): void {
    this.breaches.push({ guarantee, sentence });
  }

  row({ conversation, firstSeq, epoch, bytes }: Row): void {
    const key = `${conversation}#${firstSeq}, epoch ${epoch}`;
    const known = this.#rows.get(key);
    if (known === undefined) this.#rows.set(key, bytes);
    else if (known !== bytes && Buffer.compare(known, bytes) !== 0) {
      this.breach("G1", `two different rows are written at ${key}: one epoch was used twice (R3, R8)`);
    } else return;
    const batch = decodeBatch(conversation, bytes);
    const { hash, firstSeq: first, lastSeq, prevHash, watermark } = batch;
    if (!this.#batches.has(`${conversation} ${hash}`)) this.#idsOf(batch, key);
    this.#batches.set(`${conversation} ${hash}`, { firstSeq: first, lastSeq, prevHash });
    this.watermark(conversation, watermark.seq, watermark.hash, `the row at ${key}`);
  }

  #idsOf({ firstId, entries, hash }: Batch, key: string): void {
    for (let i = 0; i < entries.length; i += 1) {
      const id = firstId + BigInt(i);
      const other = this.#ids.get(id);
      if (other !== undefined)
        this.breach("G5", `the id ${id} is given out twice, in the batches ${other} and ${hash} at ${key}`);
      this.#ids.set(id, hash);
    }
    const aheadMs = LAYOUT.utcMsOf(firstId) - this.#latestIdMs();
    if (aheadMs > 0)
      this.breach("G5", `the id ${firstId} at ${key} lies ${aheadMs} ms further ahead than any honest clock allows`);
  }

  /** Everything up to there was called committed: so all watermarks must lie on one chain, also where batches end differently. */
  watermark(conversation: string, seq: number, hash: string, who: string): void {
    for (let at = { seq, hash }; at.seq > 0; ) {
      const batch = this.#batches.get(`${conversation} ${at.hash}`);
      if (batch === undefined || this.#committed.get(`${conversation}#${at.seq}`)?.hash === at.hash) return;
      for (let each = batch.firstSeq; each <= batch.lastSeq; each += 1) {
        const known = this.#committed.get(`${conversation}#${each}`);
        if (known !== undefined && known.hash !== at.hash) {
          const told = `were called committed, one by ${known.who}, the other by ${who}`;
          return this.breach("G1", `two histories of ${conversation}#${each} ${told}`);
        }
        this.#committed.set(`${conversation}#${each}`, { hash: at.hash, who });
      }
      at = { seq: batch.firstSeq - 1, hash: batch.prevHash };
    }
  }

  /** At most one of all nodes that live may lead a conversation at any time, and epochs only grow. */
  leaders(nodes: Iterable<{ readonly name: string; readonly node: MeridianNode }>): void {
    const leading = new Map<string, string>();
    for (const { name, node } of nodes) {
      for (const { tenure, head } of node.conversations.led()) {
        const { conversation, epoch } = tenure;
        // Of a zombie, too: it has said that everything up to there is committed, even if nobody was left to hear it.
        this.watermark(conversation, head.seq, head.hash, name);
        if (!tenure.look()) continue;
        const other = leading.get(conversation);
        if (other !== undefined) this.breach("G1", `${other} and ${name} both lead ${conversation} at one time`);
        leading.set(conversation, name);
        const highest = this.#epochs.get(conversation);
        if (highest !== undefined && highest.epoch > epoch) {
          this.breach(
            "G1",
            `${name} leads ${conversation} under epoch ${epoch}, after ${highest.who} did under ${highest.epoch}`,
          );
        } else {
          this.#epochs.set(conversation, { epoch, who: name });
        }
      }
    }
  }
}
