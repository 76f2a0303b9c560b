import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FeedEventSchema, FeedHeartbeatSchema } from "../gen/meridian/v1/peer_pb.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Watermark } from "../log/batch.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Leaders } from "./leaders.ts";
import { EVENT_BYTES, OutgoingFeed } from "./outgoing-feed.ts";

export interface OutgoingFeedsOptions {
  /** The leaders of this node. */
  readonly local: Leaders;
  readonly telemetry: Telemetry;
  /** Something can be packed. */
  readonly onReady: () => void;
}

/**
 * The feeds that another node follows here. They share one limit for what waits; when it is passed, the feed with most of
 * it ends, so that one busy conversation does not cost all others their feeds. They are sent in turns for the same reason.
 */
export class OutgoingFeeds {
  readonly #options: OutgoingFeedsOptions;
  readonly #feeds = new Map<number, OutgoingFeed>();
  /** Those that have something to send, the next one first. */
  readonly #ready = new Set<OutgoingFeed>();
  #waitingBytes = 0;

  constructor(options: OutgoingFeedsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#feeds.size;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  follow(id: number, conversation: string, known: Watermark | undefined): void {
    const feed = new OutgoingFeed(id, (waiting, bytes) => this.#waiting(waiting, bytes));
    const full = this.#feeds.size >= LIMITS.feedsPerLink;
    this.#feeds.set(id, feed);
    if (full) {
      feed.end(new MeridianError("OVERLOADED", `this node follows ${LIMITS.feedsPerLink} conversations at that one already`));
      return;
    }
    this.#options.local.attach(conversation, feed, known).then(
      (attachment) => feed.begin(attachment),
      (error: unknown) => feed.end(MeridianError.from(error)),
    );
  }

  unfollow(id: number): void {
    const feed = this.#feeds.get(id);
    if (feed !== undefined) this.#close(feed);
  }

  closeAll(): void {
    for (const feed of [...this.#feeds.values()]) this.#close(feed);
  }

  /** The next events, of about `limitBytes` and at least one if there is one. */
  take(limitBytes: number): MessageInitShape<typeof FeedEventSchema>[] {
    const events: MessageInitShape<typeof FeedEventSchema>[] = [];
    let bytes = 0;
    for (const feed of this.#ready) {
      if (bytes >= limitBytes) break;
      this.#ready.delete(feed);
      const next = feed.take();
      if (next === undefined) continue;
      bytes += next.bytes + EVENT_BYTES;
      this.#waitingBytes -= next.bytes;
      events.push({ feed: BigInt(feed.id), event: next.event });
      // It comes to the end of the set, and the loop to it again after the others.
      if (feed.ready) this.#ready.add(feed);
      if (feed.over) this.#feeds.delete(feed.id);
    }
    return events;
  }

  /** How far the follower must be once it has heard all that was taken until now. */
  heartbeat(): MessageInitShape<typeof FeedHeartbeatSchema> | undefined {
    const feeds: bigint[] = [];
    const seqs: bigint[] = [];
    for (const feed of this.#feeds.values()) {
      const seq = feed.heartbeatSeq;
      if (seq === undefined) continue;
      feeds.push(BigInt(feed.id));
      seqs.push(BigInt(seq));
    }
    return feeds.length === 0 ? undefined : { feeds, seqs };
  }

  #waiting(feed: OutgoingFeed, bytes: number): void {
    this.#waitingBytes += bytes;
    if (this.#waitingBytes > LIMITS.linkFeedBytes) this.#cutLongest();
    if (!feed.ready) return;
    this.#ready.add(feed);
    this.#options.onReady();
  }

  #cutLongest(): void {
    let longest: OutgoingFeed | undefined;
    for (const feed of this.#feeds.values()) {
      if (longest === undefined || feed.waitingBytes > longest.waitingBytes) longest = feed;
    }
    if (longest === undefined) return;
    this.#options.telemetry.count("link.feeds-cut");
    this.#waitingBytes -= longest.drop();
    longest.end(
      new MeridianError("OVERLOADED", "the link between the nodes is too slow for this feed", {
        advice: "Attach again; what was left out stands in the log.",
      }),
    );
  }

  #close(feed: OutgoingFeed): void {
    this.#feeds.delete(feed.id);
    this.#ready.delete(feed);
    this.#waitingBytes -= feed.close();
  }
}
