import type { LIMITS } from "../src/kernel/limits.ts";
import type { Patch } from "./patch.ts";

/** Something of the product whose length has a limit (G9). */
export interface Bound {
  /** In words, as a breach says it. */
  readonly what: string;
  readonly file: string;
  /** The line that opens its class, or the statement that makes it. */
  readonly within: string;
  /** How long it is, as code that stands there. Counted anew where it can be: a counter may be what is wrong. */
  readonly length: string;
  /** Together they are the most that it may be… */
  readonly limits: readonly (keyof typeof LIMITS)[];
  /** …but for so much, which is said where it is. */
  readonly more?: number;
}

/** A batch of the simulator: a buffer that is measured in bytes takes the last one whole. */
const BATCH_BYTES = 1_024;

export const BOUNDS: readonly Bound[] = [
  {
    what: "the changes that wait for a watch",
    file: "src/kernel/queue.ts",
    within: "export class BoundedQueue<T> implements AsyncIterable<T> {",
    length: "this.size",
    limits: ["coordinatorWatchQueue"],
  },
  {
    what: "the messages that wait at a leader",
    file: "src/sequencer/pending.ts",
    within: "export class PendingQueue {",
    length: "this.size",
    limits: ["leaderQueueMessages"],
  },
  {
    what: "the messages of one producer that wait for an earlier one",
    file: "src/sequencer/parking.ts",
    within: "export class Parking {",
    length: "Math.max(0, ...[...this.#byProducer.values()].map(({ parked }) => parked.length))",
    limits: ["producerInFlight"],
  },
  {
    what: "the batches of a leader on their way",
    file: "src/sequencer/pipeline.ts",
    within: "export class Pipeline {",
    length: "this.size",
    limits: ["batchesInFlight"],
  },
  {
    what: "the producers that are remembered",
    file: "src/sequencer/dedup.ts",
    within: "export class Dedup {",
    length: "this.#producers.size",
    limits: ["dedupProducers"],
  },
  {
    what: "the counters that are remembered of a producer",
    file: "src/sequencer/recent-counters.ts",
    within: "export class RecentCounters {",
    length: "this.#seqs.length - this.#head",
    limits: ["dedupMessages"],
  },
  {
    what: "the keys that are remembered",
    file: "src/sequencer/dedup.ts",
    within: "export class Dedup {",
    length: "this.#keys.size",
    limits: ["dedupMessages"],
  },
  {
    what: "the messages that are remembered",
    file: "src/sequencer/recent-messages.ts",
    within: "export class RecentMessages<P> {",
    length: "this.#ids.length",
    limits: ["dedupMessages"],
  },
  {
    what: "the homes of others' conversations",
    file: "src/membership/homes.ts",
    within: "export class Homes {",
    length: "[...this.#shards.values()].reduce((sum, { kept, news }) => sum + (kept ? 0 : news.size), 0)",
    limits: ["homesRemembered"],
  },
  {
    what: "the hints",
    file: "src/routing/hints.ts",
    within: "export class Hints {",
    length: "this.#hints.size",
    limits: ["hintsRemembered"],
  },
  {
    what: "the sends of a link that wait for their leaders, in bytes",
    file: "src/routing/handler-link.ts",
    within: "export class HandlerLink {",
    // A single run may be larger.
    length: "this.#outstanding.size < 2 ? 0 : [...this.#outstanding.values()].reduce((sum, { bytes }) => sum + bytes, 0)",
    limits: ["linkRunBytes"],
  },
  {
    what: "the sends of a link that are served or have an answer to be sent, in bytes",
    file: "src/routing/caller-link.ts",
    within: "export class CallerLink {",
    // At least so much was counted for each of them at the other end.
    length: "1_024 * (this.#serving + this.#settled.length)",
    limits: ["linkRunBytes"],
  },
  {
    what: "the batches of a link that wait for followers, in bytes",
    file: "src/routing/outgoing-feeds.ts",
    within: "export class OutgoingFeeds {",
    length: "[...this.#feeds.values()].reduce((sum, { waitingBytes }) => sum + waitingBytes, 0)",
    limits: ["linkFeedBytes"],
  },
  {
    what: "the recent batches of a conversation, in bytes",
    file: "src/feed/recent.ts",
    within: "export class RecentBatches {",
    // A single batch may be larger.
    length: "this.#batches.length - this.#start < 2 ? 0 : this.#bytes",
    limits: ["recentBytes"],
  },
  {
    what: "the recent batches of a node, in bytes",
    file: "src/feed/recent.ts",
    within: "export class RecentMemory {",
    length: "[...this.#rings].reduce((sum, { bytes }) => sum + bytes, 0)",
    limits: ["recentBytesNode"],
  },
  {
    what: "the conversations that are followed without a reader",
    file: "src/feed/followers.ts",
    within: "export class Followers {",
    length: "this.#lingering.size",
    limits: ["followersLingering"],
  },
  {
    what: "the sessions of a node",
    file: "src/gateway/service.ts",
    within: "  const sessions = new Set<Session>();",
    length: "sessions.size",
    limits: ["sessionsPerNode"],
  },
  {
    what: "the producers of a session",
    file: "src/gateway/producers.ts",
    within: "export class Producers {",
    length: "this.#senders.size + this.#opening",
    limits: ["producersPerSession"],
  },
  {
    what: "the subscriptions of a session",
    file: "src/gateway/subscriptions.ts",
    within: "export class Subscriptions {",
    length: "this.#running.size",
    limits: ["subscriptionsPerSession"],
  },
  {
    what: "the fetches of a session",
    file: "src/gateway/fetches.ts",
    within: "export class Fetches {",
    length: "this.#running.size",
    limits: ["fetchesPerSession"],
  },
  {
    what: "the sends of a session without an outcome, in bytes",
    file: "src/gateway/submits.ts",
    within: "export class Submits {",
    length:
      "[...this.#lanes.values()].reduce((sum, { waiting }) => sum + waiting.reduce((some, { bytes }) => some + bytes, 0), 0)",
    limits: ["sessionInFlightBytes"],
    // The submit that it was reading.
    more: 2 * BATCH_BYTES,
  },
  {
    what: "the pages of a session in memory",
    file: "src/gateway/outlet.ts",
    within: "export class Outlet {",
    length: "LIMITS.pagesPerSession - this.#places",
    limits: ["pagesPerSession"],
  },
  {
    what: "the pages that a node reads together",
    file: "src/gateway/pages.ts",
    within: "export class Pages {",
    length: "this.#reading.size - this.#waiting.size",
    limits: ["pagesAtOnce"],
  },
  {
    what: "what was written to a stream and has not left, in bytes",
    file: "src/adapters/rpc/backlog.ts",
    within: "export class Backlog {",
    length: "this.#bytes",
    limits: ["streamBacklogBytes"],
  },
  {
    what: "the sends of a producer that are under way",
    file: "src/client/send-window.ts",
    within: "export class SendWindow {",
    // Skips take the place of what was given up, and are asked for by whoever resolves an unknown outcome.
    length: "[...this.#sent.values()].filter(({ isSkip }) => !isSkip).length",
    limits: ["producerInFlight"],
  },
  {
    what: "the submits of a producer that are under way",
    file: "src/client/send-window.ts",
    within: "export class SendWindow {",
    length: "this.#frames.length",
    limits: ["submitsInFlight"],
  },
  {
    what: "the sends of a client that wait for room",
    file: "src/client/send-window.ts",
    within: "export class SendWindow {",
    length: "this.#waiting.length",
    limits: ["clientQueueMessages"],
  },
  {
    what: "the messages that came too early",
    file: "src/client/reorder-buffer.ts",
    within: "export class ReorderBuffer {",
    length: "[...this.#byFirstSeq.values()].reduce((sum, { batch }) => sum + batch.entries.length, 0)",
    limits: ["reorderMessages"],
  },
  {
    what: "the messages that came too early, in bytes",
    file: "src/client/reorder-buffer.ts",
    within: "export class ReorderBuffer {",
    length: "[...this.#byFirstSeq.values()].reduce((sum, { batch }) => sum + batch.bytes.length, 0)",
    limits: ["reorderBytes"],
  },
  {
    what: "what was pushed and not handled, in bytes",
    file: "src/client/intake.ts",
    within: "export class Intake {",
    length: "this.heldCredit",
    limits: ["subscriptionCreditBytes"],
    more: BATCH_BYTES,
  },
  {
    what: "what waits for an application, in bytes",
    file: "src/client/intake.ts",
    within: "export class Intake {",
    length: "this.readyBytes",
    // Fetched until there is a full credit's worth, the last answer whole; and pushed as much as there was credit for.
    limits: ["subscriptionCreditBytes", "deliveryBytes", "subscriptionCreditBytes"],
    more: 2 * BATCH_BYTES,
  },
];

/** Each lets the witness look at every new instance, by a field or statement of its own. */
export const WATCHED: readonly Patch[] = BOUNDS.map(({ file, within, length }, i) => {
  const watch = `globalThis.simulatedLengths?.watch(${i}, () => ${length});`;
  return { file, find: `${within}\n`, replace: `${within}\n  ${within.includes("class ") ? `watched${i} = ` : ""}${watch}\n` };
});
