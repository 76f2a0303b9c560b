import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FeedEventSchema } from "../gen/meridian/v1/peer_pb.ts";
import { toErrorDetail } from "../kernel/error-wire.ts";
import type { MeridianError } from "../kernel/errors.ts";
import type { Batch } from "../log/batch.ts";
import type { Attachment, FeedListener } from "./leaders.ts";
import { watermarkToWire } from "./watermark.ts";

type FeedEvent = NonNullable<MessageInitShape<typeof FeedEventSchema>["event"]>;

/** What an event costs beside its batch, roughly: a decoded batch is larger than its bytes. */
export const EVENT_BYTES = 1_024;

interface Waiting {
  readonly event: FeedEvent;
  /** 0 for a beginning and an end: each feed has only one of them. */
  readonly bytes: number;
  /** How far the feed is once this is sent. */
  readonly seq: number;
}

/**
 * The leader's end of a feed over a link: what waits to be sent, in order. The batches that come before the attach is
 * answered wait for that answer, since it is what the follower must hear first.
 */
export class OutgoingFeed implements FeedListener {
  readonly id: number;
  /** Something more waits, of this many bytes. */
  readonly #onWaiting: (feed: OutgoingFeed, bytes: number) => void;
  #waiting: Waiting[] = [];
  #taken = 0;
  #bytes = 0;
  #attachment: Attachment | undefined;
  /** How far the follower has been told; undefined before it was told anything. */
  #toldSeq: number | undefined;
  #ended = false;

  constructor(id: number, onWaiting: (feed: OutgoingFeed, bytes: number) => void) {
    this.id = id;
    this.#onWaiting = onWaiting;
  }

  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Whether something can be sent now. */
  get ready(): boolean {
    return (this.#attachment !== undefined || this.#ended) && this.#taken < this.#waiting.length;
  }

  /** The end has been sent. */
  get over(): boolean {
    return this.#ended && this.#taken === this.#waiting.length;
  }

  /** Up to where the follower must have got everything when all that was sent has arrived; undefined while it was told nothing. */
  get heartbeatSeq(): number | undefined {
    if (this.#toldSeq === undefined || this.#attachment === undefined) return this.#toldSeq;
    // A batch that is lost between the leader and here shows in the leader's own watermark.
    return this.#taken === this.#waiting.length ? this.#attachment.watermark().seq : this.#toldSeq;
  }

  /** The attach was answered. */
  begin(attachment: Attachment): void {
    if (this.#ended) {
      attachment.detach();
      return;
    }
    this.#attachment = attachment;
    const { head, epoch } = attachment;
    const value = { head: watermarkToWire(head), epoch };
    this.#waiting.unshift({ event: { case: "begun", value }, bytes: 0, seq: head.seq });
    this.#added(0);
  }

  batch(batch: Batch): void {
    if (this.#ended) return;
    const bytes = EVENT_BYTES + batch.bytes.length;
    this.#waiting.push({ event: { case: "batch", value: batch.bytes }, bytes, seq: batch.lastSeq });
    this.#added(bytes);
  }

  /** Also the answer to an attach that failed. */
  end(error: MeridianError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#attachment?.detach();
    this.#waiting.push({ event: { case: "ended", value: toErrorDetail(error) }, bytes: 0, seq: 0 });
    this.#added(0);
  }

  /** The follower has gone; answers how many bytes were dropped. */
  close(): number {
    this.#ended = true;
    this.#attachment?.detach();
    return this.drop();
  }

  /** The next event to be sent. */
  take(): Waiting | undefined {
    const next = this.#waiting[this.#taken];
    if (next === undefined) return undefined;
    this.#taken += 1;
    this.#bytes -= next.bytes;
    this.#toldSeq = next.event.case === "ended" ? undefined : next.seq;
    if (this.#taken === this.#waiting.length || this.#taken >= 1_024) {
      this.#waiting = this.#waiting.slice(this.#taken);
      this.#taken = 0;
    }
    return next;
  }

  /** Drops what waits; answers how many bytes that was. The feed is to be ended next. */
  drop(): number {
    const dropped = this.#bytes;
    this.#waiting = [];
    this.#taken = 0;
    this.#bytes = 0;
    return dropped;
  }

  #added(bytes: number): void {
    this.#bytes += bytes;
    this.#onWaiting(this, bytes);
  }
}
