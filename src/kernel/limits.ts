import { invariant } from "./errors.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Every limit of the product with its reason. What depends on another limit is asserted below. */
export const LIMITS = {
  /** A chat message, not a file. Configurable up to `bodyBytesCeiling`. */
  bodyBytes: 64 * KIB,
  bodyBytesCeiling: MIB,

  /** A batch is the unit of storing and pushing: large enough to share an fsync, small enough not to block a small one behind it. */
  batchMessages: 128,
  batchBytes: 256 * KIB,
  /** Batches of one conversation that may be on their way to the log together. */
  batchesInFlight: 8,
  /** Messages that wait at a leader for their batch; beyond it: OVERLOADED. */
  leaderQueueMessages: 8_192,
  leaderQueueBytes: 16 * MIB,

  /** R1: messages of one conversation that share a store partition. */
  bucketMessages: 4_096,

  /** §6: retries are recognised within this many messages of the conversation. */
  dedupMessages: 65_536,
  dedupProducers: 10_000,
  keyBytes: 256,
  /** How long a leader keeps a counter that came too early before it answers COUNTER_GAP. */
  counterGapWaitMs: 200,

  checkpointBytes: 3 * MIB,
  /** A checkpoint is due when the log since the last one is this many times its size… */
  checkpointLogRatio: 8,
  /** …and at least this many bytes, so that small conversations are not mostly checkpoints. */
  checkpointLogBytes: 256 * KIB,

  conversationBytes: 256,
  consumerBytes: 256,
  senderBytes: 256,
  typeBytes: 128,

  /** Sends of one producer that have no outcome yet. */
  producerInFlight: 1_024,

  reorderMessages: 4_096,
  reorderBytes: 16 * MIB,
  /** How long a client waits for a hole to fill by itself before it fetches the range. */
  holeWaitMs: 500,
  /** Bytes that a gateway may push ahead of what a subscription has handed over. */
  subscriptionCreditBytes: 4 * MIB,
  /** Recent batches that a node keeps for a followed conversation; a reader further behind reads the log. */
  recentBytes: 2 * MIB,

  /** Default page of a log read; above the batches in flight, so that a page always reaches an embedded watermark. */
  pageBytes: 4 * MIB,

  leaseTtlMs: 10_000,
  leaseRenewMs: 1_000,
  leaseMarginMs: 3_000,
  etcdElectionTimeoutMs: 2_500,
  embeddedLeaseTtlMs: 3_000,
  embeddedLeaseRenewMs: 300,
  embeddedLeaseMarginMs: 1_000,
  claimsAtOnce: 32,
  shardsPerRegion: 128,
  leaderHops: 4,

  /** Beyond this error bound a node gives out no ids and leads nothing. */
  clockErrorMs: 250,
  /** How far ids may run ahead of the clock when many are taken at once. */
  idLeadMs: 1_000,

  frameBytes: 4 * MIB,
  /** Submitted bytes of one session that have no outcome yet; beyond it the gateway stops reading the session. */
  sessionInFlightBytes: 16 * MIB,
  subscriptionsPerSession: 10_000,
  producersPerSession: 10_000,

  handlerTries: 5,
  sendTries: 20,
  sendAgeMs: 60_000,
  /** A call that does not say otherwise ends after this. */
  callDeadlineMs: 10_000,

  feedHeartbeatMs: 1_000,
  feedSilenceMs: 3_000,
  /** A conversation without traffic and readers is put aside after this. */
  idleMs: 60_000,
  /** Open conversations a node keeps; beyond it the least recently used ones are put aside. */
  openConversations: 20_000,
} as const;

invariant(LIMITS.leaseRenewMs * 3 <= LIMITS.leaseTtlMs - LIMITS.leaseMarginMs, "three renewals fit before the deadline");
invariant(LIMITS.leaseMarginMs > LIMITS.etcdElectionTimeoutMs, "the margin outlasts an etcd election");
invariant(
  LIMITS.embeddedLeaseRenewMs * 3 <= LIMITS.embeddedLeaseTtlMs - LIMITS.embeddedLeaseMarginMs,
  "three renewals fit before the deadline of an embedded lease",
);
invariant(LIMITS.reorderMessages >= LIMITS.producerInFlight, "the reorder buffer holds a full window of one producer");
invariant(
  LIMITS.pageBytes > LIMITS.batchesInFlight * LIMITS.batchBytes + LIMITS.bodyBytesCeiling,
  "a page reaches beyond the batches in flight",
);
invariant(LIMITS.frameBytes > LIMITS.bodyBytesCeiling + LIMITS.batchBytes, "a frame holds the largest batch");
invariant(LIMITS.bucketMessages % LIMITS.batchMessages === 0, "full batches fill a bucket");
invariant(LIMITS.feedSilenceMs >= 3 * LIMITS.feedHeartbeatMs, "a feed is silent only after three missed heartbeats");
