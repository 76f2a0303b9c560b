import type { MeridianError } from "../kernel/errors.ts";
import type { Batch, Watermark } from "../log/batch.ts";

/**
 * The leaders of all conversations, as a gateway sees them: wherever a conversation is led, it asks here. Throws
 * NOT_LEADER (with `details.leader` where known), UNAVAILABLE or OVERLOADED for the call as a whole.
 */
export interface Leaders {
  /**
   * Gives the run's messages to the conversation's leader; settles once each has its fate. When it throws, every message
   * of the run may or may not be accepted: repeat the same run, it is recognised.
   */
  submit(run: SubmitRun): Promise<readonly Fate[]>;

  /**
   * Registers for the conversation's committed batches: from the answered head on, each is handed over once, in order,
   * with nothing left out, until `end`. Opens the conversation if nobody leads it. `known` is the highest watermark that this
   * node has verified in a feed of the conversation: a leader that finds less than that has lost something (R6).
   */
  attach(conversation: string, listener: FeedListener, known?: Watermark): Promise<Attachment>;
}

/** Leaders that can also be asked about, and moved. */
export interface Leadership extends Leaders {
  /** Opens the conversation if nobody leads it. Throws as `Leaders` do. */
  describe(conversation: string): Promise<LeaderDescription>;

  /** Gives the conversation to another region; answers the epoch it got. Throws as `Leaders` do, and when it did not succeed. */
  move(conversation: string, region: string): Promise<bigint>;
}

export interface LeaderDescription {
  /** The name of the node that leads the conversation. */
  readonly node: string;
  /** The region that leads it. */
  readonly home: string;
  readonly epoch: bigint;
  readonly head: Watermark;
}

/** Messages of one sender for one conversation. */
export interface SubmitRun {
  readonly conversation: string;
  /** 0n: a send without a session; then there is one item and no counter. */
  readonly producer: bigint;
  readonly sender: string;
  /** The counter of the first item; item i has `firstCounter + i`. 0 without a producer. */
  readonly firstCounter: number;
  readonly items: readonly SubmitItem[];
  /** The new ids will be larger than this one (G8); 0n for none. */
  readonly aboveId: bigint;
  /** A head seq known before the first try of a keyed send without a session. */
  readonly base?: number;
}

export interface SubmitItem {
  /** A serialized Payload; empty for a skip. */
  readonly payload: Uint8Array;
  /** Empty for none. */
  readonly key: Uint8Array;
  /** Give the counter up: a void takes a seq. */
  readonly skip: boolean;
}

/** What became of one message. refused: this try was not accepted (an earlier one may have been). */
export type Fate =
  | { readonly kind: "placed"; readonly seq: number; readonly id: bigint }
  | { readonly kind: "skipped"; readonly seq: number; readonly id: bigint }
  | { readonly kind: "refused"; readonly error: MeridianError };

export interface FeedListener {
  /** The next committed batch. Must not throw or wait. */
  batch(batch: Batch): void;
  /** The feed is over: attach again. */
  end(error: MeridianError): void;
}

export interface Attachment {
  /** Everything up to here is committed and stands in the log; the first batch handed over comes after it. */
  readonly head: Watermark;
  readonly epoch: bigint;
  /** Up to here the conversation is committed by now, as far as is known here, and the listener has got it all. */
  watermark(): Watermark;
  /** Nothing is handed over any more, and no end. A second call does nothing. */
  detach(): void;
}
