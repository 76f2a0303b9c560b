import { decodeBatch } from "../src/log/batch.ts";
import type { MeridianNode } from "../src/node/node.ts";
import type { Row } from "../src/ports/log-store.ts";
import type { Guarantee } from "../src/verify/check.ts";

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
  readonly #rows = new Map<string, Uint8Array>();
  readonly #watermarks = new Map<string, { readonly hash: string; readonly who: string }>();
  readonly #epochs = new Map<string, { readonly epoch: bigint; readonly who: string }>();

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
    const { watermark } = decodeBatch(conversation, bytes);
    this.watermark(conversation, watermark.seq, watermark.hash, `the row at ${key}`);
  }

  watermark(conversation: string, seq: number, hash: string, who: string): void {
    const key = `${conversation}#${seq}`;
    const known = this.#watermarks.get(key);
    if (known === undefined) this.#watermarks.set(key, { hash, who });
    else if (known.hash !== hash) {
      this.breach("G1", `two histories of ${key} were called committed, one by ${known.who}, the other by ${who}`);
    }
  }

  /** At most one of all nodes that live may lead a conversation at any time, and epochs only grow. */
  leaders(nodes: Iterable<{ readonly name: string; readonly node: MeridianNode }>): void {
    const leading = new Map<string, string>();
    for (const { name, node } of nodes) {
      for (const { tenure, head } of node.conversations.led()) {
        if (!tenure.look()) continue;
        const { conversation, epoch } = tenure;
        this.watermark(conversation, head.seq, head.hash, name);
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
