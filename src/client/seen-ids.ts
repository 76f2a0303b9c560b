/**
 * The largest message id that this client has seen, in any conversation: in deliveries, in histories and in the outcomes of
 * its own sends. Every submit carries it, so that an answer always has a larger id than what it answers (G8).
 */
export class SeenIds {
  #max = 0n;

  get max(): bigint {
    return this.#max;
  }

  saw(id: bigint): void {
    if (id > this.#max) this.#max = id;
  }
}
