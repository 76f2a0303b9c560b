import type { IdBlock, Ids } from "../../src/sequencer/leader.ts";

/** Ids 1000, 2000, …: each block begins at the next thousand above both floors. */
export class CountingIds implements Ids {
  #last = 0n;

  block(_count: number, above: { readonly log: bigint; readonly client: bigint }): IdBlock {
    const floor = [this.#last, above.log, above.client].reduce((a, b) => (a > b ? a : b));
    this.#last = (floor / 1000n + 1n) * 1000n;
    return { kind: "block", first: this.#last };
  }
}
