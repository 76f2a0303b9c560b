import type { MeridianError } from "../kernel/errors.ts";
import type { Batch, Watermark } from "../log/batch.ts";
import type { Attachment, FeedListener } from "../routing/leaders.ts";

/** The leader's side of a feed: hands each committed batch to everyone who follows the conversation, in order. */
export class Publisher {
  readonly #listeners = new Set<FeedListener>();
  #head: Watermark;

  constructor(head: Watermark) {
    this.#head = head;
  }

  /** Everything up to here is committed and has been handed over. */
  get head(): Watermark {
    return this.#head;
  }

  get followers(): number {
    return this.#listeners.size;
  }

  /** Registers and answers the head in one step: a batch that commits later cannot fall between the two. */
  attach(listener: FeedListener): Omit<Attachment, "epoch"> {
    this.#listeners.add(listener);
    return { head: this.#head, watermark: () => this.#head, detach: () => this.#listeners.delete(listener) };
  }

  publish(batch: Batch): void {
    this.#head = { seq: batch.lastSeq, hash: batch.hash };
    for (const listener of this.#listeners) listener.batch(batch);
  }

  end(error: MeridianError): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener.end(error);
  }
}
