import type { IdBlock, Ids } from "../../src/sequencer/leader.ts";

/** Ids 1000, 2000, …: each block begins at the next thousand above both floors. */
export class CountingIds implements Ids {
  #last = 0n;

  block(_count: number, above: { readonly log: bigint; readonly client: bigint }): IdBlock {
    for (const floor of [above.log, above.client]) if (floor > this.#last) this.#last = floor;
    this.#last = (this.#last / 1000n + 1n) * 1000n;
    return { kind: "block", first: this.#last };
  }
}
