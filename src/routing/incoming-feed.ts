import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { decodeBatch, type Watermark } from "../log/batch.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Attachment, FeedListener } from "./leaders.ts";

export interface IncomingFeedOptions {
  readonly conversation: string;
  readonly listener: FeedListener;
  readonly telemetry: Telemetry;
  /** The listener wants no more: the far side is to be told. */
  readonly unfollow: () => void;
}

/**
 * The follower's end of a feed over a link. Every batch is opened and checked here, and no seq may be left out: neither
 * between two batches, nor at the end, where only the heartbeat shows it. Whether the batches chain, and on to what, is
 * the listener's to judge: a broken chain is more than a broken feed.
 */
export class IncomingFeed {
  readonly #options: IncomingFeedOptions;
  readonly #attached = new Deferred<Attachment>();
  /** How far the feed has come; undefined before it has begun. */
  #at: Watermark | undefined;
  #over = false;

  constructor(options: IncomingFeedOptions) {
    this.#options = options;
  }

  /** Resolves when the feed has begun; rejects with the far side's error if it does not. */
  get attached(): Promise<Attachment> {
    return this.#attached.promise;
  }

  begun(head: Watermark, epoch: bigint): void {
    if (this.#over || this.#at !== undefined) return;
    this.#at = head;
    this.#attached.resolve({ head, epoch, watermark: () => this.#at ?? head, detach: () => this.#detach() });
  }

  batch(bytes: Uint8Array): void {
    const { conversation, listener } = this.#options;
    if (this.#over || this.#at === undefined) return;
    try {
      const batch = decodeBatch(conversation, bytes);
      if (batch.firstSeq !== this.#at.seq + 1) {
        this.#broken(`the batch after seq ${this.#at.seq} begins at seq ${batch.firstSeq}`);
        return;
      }
      this.#at = { seq: batch.lastSeq, hash: batch.hash };
      listener.batch(batch);
    } catch (error) {
      this.#broken("a batch is damaged", MeridianError.from(error));
    }
  }

  /** The leader has committed up to `seq`, and everything that the far side had to say before has been heard. */
  heartbeat(seq: number): void {
    if (this.#over || this.#at === undefined || seq <= this.#at.seq) return;
    this.#broken(`it has come to seq ${this.#at.seq}, but should have come to ${seq}`);
  }

  /** The far side has ended the feed, or the link is broken. */
  end(error: MeridianError): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#at === undefined) this.#attached.reject(error);
    else this.#options.listener.end(error);
  }

  #detach(): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.unfollow();
  }

  /** Only a bug or bad memory does this. The next feed begins at the leader's head, and readers find the rest in the log. */
  #broken(what: string, cause?: MeridianError): void {
    const { conversation, telemetry, unfollow } = this.#options;
    telemetry.log("error", "feed.broken", { conversation, what, cause: cause?.message });
    telemetry.count("feed.broken");
    unfollow();
    this.end(new MeridianError("UNAVAILABLE", `the feed of ${JSON.stringify(conversation)} is broken: ${what}`, { cause }));
  }
}
