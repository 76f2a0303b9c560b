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
  /** Messages that wait at a leader for their batch, or for an earlier one of their producer; beyond it: OVERLOADED. */
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
  /** …and for all of them together; beyond it the conversations that were silent longest lose theirs. */
  recentBytesNode: 256 * MIB,
  /** One pushed frame: large enough to share its cost, small enough not to hold up the session's other frames. */
  deliveryBytes: 512 * KIB,
  /** Log reads of a node's readers that run together: it bounds the memory of a thousand readers that catch up at once. */
  pagesAtOnce: 64,
  /** Tries of a read or of a cursor's save before the subscription ends with the error. */
  readTries: 10,
  /** A followed conversation without readers stays followed this long, for the next fetch or reconnecting reader… */
  followerLingerMs: 10_000,
  /** …but no more than this many of them. */
  followersLingering: 1_024,

  /** Default page of a log read; above the batches in flight, so that a page always reaches an embedded watermark. */
  pageBytes: 4 * MIB,
  /** What a reader is given at once unless it asks otherwise. */
  readerPageBytes: MIB,
  /** Rows that a reader looks through for a watermark; several dead leaders may each have left a full pipeline there. */
  readerScanBytes: 16 * MIB,

  /** Values that the embedded store writes under one fsync: large enough to share it, small enough to keep it short. */
  storeGroupBytes: 8 * MIB,
  /** Values that wait for the embedded store's next fsync; beyond it a write is refused. */
  storeQueueBytes: 64 * MIB,
  /** A write of the embedded store that has not ended after this is unknown, and the next ones are refused until it ends. */
  storeWriteMs: 10_000,

  leaseTtlMs: 10_000,
  leaseRenewMs: 1_000,
  leaseMarginMs: 3_000,
  etcdElectionTimeoutMs: 2_500,
  embeddedLeaseTtlMs: 3_000,
  embeddedLeaseRenewMs: 300,
  embeddedLeaseMarginMs: 1_000,
  claimsAtOnce: 32,
  /** Claims that are prepared together, beside those that somebody waits for: a renewal of the lease must not queue up behind them. */
  preparationsAtOnce: 32,
  /** Shards that are handed over together: few, for each conversation in them stalls until all that was begun with it is done. */
  handoversAtOnce: 8,
  /** Those in which nothing is led, each after a rest: 80 a second at most, so that they cost the others little… */
  idleHandoversAtOnce: 4,
  /** …and 128 of them are gone in some seconds, also where the coordinator answers after 150 ms. */
  idleHandoverRestMs: 50,
  /** etcd's default `--max-txn-ops`: guards, and puts + deletes + ranges, of one transaction. */
  coordinatorTxnOperations: 128,
  /** Keys and values of one transaction: below etcd's default `--max-request-bytes` of 1.5 MiB, which counts the rest too. */
  coordinatorTxnBytes: MIB,
  /** Well below the longest key of LMDB (1,978 bytes); a home key holds a conversation's name and a little more. */
  coordinatorKeyBytes: 1_024,
  /** Pause before an embedded coordinator tries again to save what the disk refused; it refuses all calls until then. */
  coordinatorSaveRetryMs: 500,
  /** Changes that an embedded coordinator keeps for watches and for pages at an older revision; further back: list again. */
  coordinatorHistoryChanges: 10_000,
  /** Changes that wait for one watch's loop; beyond it the watch ends with TRUNCATED. */
  coordinatorWatchQueue: 4_096,
  /** A call to etcd, with the wait for a connection; beyond it its outcome is unknown, and the member is passed by. */
  etcdCallMs: 1_000,
  /** How long a starting node waits for etcd. */
  etcdConnectMs: 10_000,
  /** Pause between two looks whether a member of etcd that failed to answer is well again. */
  etcdProbeMs: 500,
  /** etcd ends connections that are asked for a sign of life more often than every 5 s. */
  etcdPingMs: 10_000,
  etcdPingAnswerMs: 3_000,
  /** How often an open watch asks etcd how far it is… */
  etcdWatchProgressMs: 5_000,
  /** …and after how much silence it is given up: a watch that has much to catch up does not answer for a while. */
  etcdWatchSilenceMs: 20_000,
  shardsPerRegion: 128,
  /** Keys of one page when the coordinator's keys are listed. */
  coordinatorPageKeys: 1_000,
  /** Moved conversations of other nodes' shards whose home a node remembers; beyond it, it forgets them all and asks again. */
  homesRemembered: 100_000,
  /** Who asks for a conversation whose shard is prepared or handed over waits so long before it is told to ask again. */
  claimWaitMs: 1_000,
  /** A shard whose conversations cannot be drained within this keeps its owner for now. */
  drainMs: 10_000,
  /** A stopping node that has not handed everything over within this ends without: its lease ends by itself. */
  stopMs: 20_000,
  /** A node that has not joined its cluster within this gives up and says why. */
  joinMs: 60_000,
  leaderHops: 4,
  /** How long a node tries to find a conversation's leader before it tells its caller that there is none: an embedded takeover. */
  leaderWaitMs: 5_000,

  /** Beyond this error bound a node gives out no ids and leads nothing. */
  clockErrorMs: 250,
  /** How far ids may run ahead of the clock when many are taken at once. */
  idLeadMs: 1_000,
  /** Ids that would lie this much further ahead are waited for; beyond it another worker number is taken. */
  idWaitMs: 2_000,
  /** How far a worker number's fence stands ahead of the clock when it is stored: ids need not wait while the lease lives. */
  fenceAheadMs: 10_000,
  /** A fence is moved once it can be moved this far: a transaction every so often. */
  fenceMoveMs: 2_000,

  /** One try of a small statement at one Cassandra node: twice the longest round trip, or what a node that stands still costs. */
  cassandraTryMs: 1_000,
  /** One try that carries a page of the log or a checkpoint. */
  cassandraLargeTryMs: 3_000,
  /** All tries of one call together, its turn included; beyond it a read has failed… */
  cassandraCallMs: 6_000,
  /** …and an append or a checkpoint is unknown: later, for to wait costs nothing, and to be unknown costs a repetition. */
  cassandraWriteMs: 10_000,
  /** A node that let a try pass without any answer is asked last for so long: by then the driver's own heartbeat has judged it. */
  cassandraSuspectMs: 3_000,
  /** Pauses before all nodes are tried once more. */
  cassandraRetryFirstMs: 50,
  cassandraRetryMaxMs: 500,
  /** Rows of one partition that leave in one mutation: half of a leader's batches, so that others are on their way meanwhile. */
  cassandraRowsAtOnce: 4,
  /** Statements that a node has out together: at first, at least, and at most, below what the driver takes for one connection (2,048)… */
  cassandraInFlightFirst: 64,
  cassandraInFlightLeast: 16,
  cassandraInFlightMost: 1_024,
  /** …and that wait for their turn; beyond it a write is unknown, and a read has failed, at once. */
  cassandraQueue: 65_536,
  /** Rows asked for at once; the first time only as many as certainly fit into the page. */
  cassandraPageRows: 256,
  /** Conversations whose older checkpoints are known to be removed; beyond it they are all forgotten, and removed again. */
  cassandraCleanedRemembered: 100_000,
  /** Statements with epoch marks that a node has out together: what comes meanwhile shares the next one. */
  cassandraMarksAtOnce: 4,
  /** Pause between two looks whether a majority of the log's replicas answers… */
  storeHealthMs: 2_000,
  /** …and how long one may take: a node that stands still costs a try, and the next one answers. */
  storeHealthAnswerMs: 3_000,
  /** `meridian init` holds its lock no longer; a lock that was left behind lapses after it. */
  cassandraInitMs: 300_000,

  /** What a replica in another region, or the embedded coordinator, may take beyond the way there and back. */
  wanAnswerMs: 2_000,
  /** Messages on their way in one direction of the emulated wide area; beyond it they are lost, as a network loses them. */
  wanMessages: 65_536,
  /** Keys of rows, checkpoints or cursors that a returned replica is compared by at once. */
  healPageKeys: 1_024,
  /** Before replicas are compared, so that faults that end together, and what was under way, make one walk. */
  healPauseMs: 500,
  /** Checkpoints that are copied to a returned replica together: it bounds their memory. */
  healCheckpoints: 8,
  /** Bytes that a delay proxy holds in one direction of a connection; beyond it, it stops reading. At 216 ms: 70 MB/s. */
  proxyBufferBytes: 8 * MIB,
  /** Connections of one delay proxy; beyond it new ones are closed at once. */
  proxyConnections: 1_024,

  frameBytes: 4 * MIB,
  /** Written frames and bytes of one stream that have not left yet; from here on its writers are asked to wait. */
  streamWindowFrames: 64,
  streamWindowBytes: MIB,
  /** A writer that does not wait has its stream broken with OVERLOADED here; room for control frames above the window. */
  streamBacklogBytes: 32 * MIB,
  /** Calls that one connection may have open at once; a session is one call. */
  callsPerConnection: 1_024,
  /** Submitted bytes of one session that have no outcome yet; beyond it the gateway stops reading the session. */
  sessionInFlightBytes: 16 * MIB,
  subscriptionsPerSession: 10_000,
  producersPerSession: 10_000,
  sessionsPerNode: 50_000,
  /** Fetches of one session that have no answer yet; beyond it: OVERLOADED. */
  fetchesPerSession: 64,
  /** Pages of log that one session has in its hands together: they are written even if the stream fills up meanwhile. */
  pagesPerSession: 8,
  /** Answers that a gateway writes into a full stream before it stops reading the session. */
  answersAhead: 1_024,
  /** What a payload may have beside its body: type, trace context, the encoding. */
  payloadExtraBytes: KIB,

  historyMessagesDefault: 100,
  historyMessages: 1_000,
  /** An answer to History ends after this many bytes of batches. */
  historyBytes: MIB,
  idsPerCall: 4_096,

  handlerTries: 5,
  sendTries: 20,
  sendAgeMs: 60_000,
  /** Sends of one client that wait for room in their windows; beyond it a send is rejected as OVERLOADED. */
  clientQueueMessages: 65_536,
  clientQueueBytes: 64 * MIB,
  /** Submits of one producer and conversation that are on their way together. */
  submitsInFlight: 8,
  /** A session that leaves sends unanswered for this long is given up: longer than a call, so that the node may answer first. */
  answerWaitMs: 15_000,
  /** How long a send that was given up waits for its skip before its outcome is "unknown". */
  giveUpMs: 5_000,
  /** Conversations that one producer id serves; a client then takes another, and forgets the counters of the first. */
  conversationsPerProducer: 10_000,
  /** A client pings a session that was silent for this long while it waits for answers… */
  pingMs: 1_000,
  /** …or while it does not, but has another endpoint to go to; with nowhere to go it does for this long… */
  pingIdleMs: 10_000,
  /** …asks all endpoints whether they are there when the ping has no answer after this… */
  pingDoubtMs: 1_000,
  /** …and gives the session up when the ping has no answer after this: with it, clients re-route within a round trip and 3 s. */
  pingAnswerMs: 2_000,
  /** A client probes each of several endpoints about this often: it finds a nearer one in seconds, and a node hardly notices. */
  probeMs: 5_000,
  /** A share of `probeMs` by which a pause is longer or shorter, so that the probes of many clients spread. */
  probeJitter: 0.25,
  /** An endpoint that has not answered a probe after this is out of reach. */
  probeAnswerMs: 2_000,
  /** The first probes of an endpoint follow each other at once, and the fastest counts: one of them opens the connection. */
  probesAtStart: 3,
  /** A later probe moves the smoothed round trip by this share of the difference: a minute forgets what was before. */
  probeWeight: 0.25,
  /** A session moves when another endpoint is nearer by this time *and* by this share of the present one's round trip… */
  nearerMs: 20,
  nearerShare: 0.2,
  /** …in this many probes in a row: each move makes senders repeat what has no outcome, so no short peak may cause one. */
  nearerProbes: 3,
  /** An endpoint whose session broke is the last choice for this long, unless all others are as bad. */
  avoidMs: 10_000,
  /** A call that does not say otherwise ends after this. */
  callDeadlineMs: 10_000,

  /** Both ends of a link between nodes speak at least this often… */
  feedHeartbeatMs: 1_000,
  /** …and break it when they have heard nothing for this long. */
  feedSilenceMs: 3_000,
  /** Sends of one link that wait for their leaders at the other node; beyond it: OVERLOADED. A round trip at line speed, and more. */
  linkRunBytes: 32 * MIB,
  /** Batches of one link that wait to be sent to a follower; beyond it the feed with most of them ends, and its readers read the log. */
  linkFeedBytes: 16 * MIB,
  /** Feeds that one node follows at one other: no more than the conversations that one leads. */
  feedsPerLink: 20_000,
  /** What a stopping node still has to say to the others, it says within this. */
  linkGoodbyeMs: 1_000,
  /** Conversations whose leader is elsewhere than this node's own view says, as their former leaders told. */
  hintsRemembered: 10_000,
  /** A conversation without traffic and readers is put aside after this. */
  idleMs: 60_000,
  /** Open conversations a node keeps; beyond it the least recently used ones are put aside. */
  openConversations: 20_000,
} as const;

invariant(LIMITS.leaseRenewMs * 3 <= LIMITS.leaseTtlMs - LIMITS.leaseMarginMs, "three renewals fit before the deadline");
invariant(LIMITS.leaseMarginMs > LIMITS.etcdElectionTimeoutMs, "the margin outlasts an etcd election");
invariant(LIMITS.etcdPingMs > 5_000, "etcd takes the pings for no attack");
invariant(LIMITS.etcdWatchSilenceMs >= 3 * LIMITS.etcdWatchProgressMs, "a watch is silent only after three missed answers");
invariant(
  LIMITS.embeddedLeaseRenewMs * 3 <= LIMITS.embeddedLeaseTtlMs - LIMITS.embeddedLeaseMarginMs,
  "three renewals fit before the deadline of an embedded lease",
);
invariant(LIMITS.joinMs >= 3 * LIMITS.leaseTtlMs, "a node outwaits its predecessor's lease before it gives up joining");
invariant(
  LIMITS.fenceAheadMs >= LIMITS.leaseTtlMs - LIMITS.leaseMarginMs + LIMITS.idLeadMs + LIMITS.fenceMoveMs,
  "a fence that cannot be moved outlasts the lease",
);
invariant(LIMITS.idWaitMs >= 2 * LIMITS.clockErrorMs, "an id that an honest node gave out is waited for");
invariant(LIMITS.reorderMessages >= LIMITS.producerInFlight, "the reorder buffer holds a full window of one producer");
invariant(
  LIMITS.pageBytes > LIMITS.batchesInFlight * LIMITS.batchBytes + LIMITS.bodyBytesCeiling,
  "a page reaches beyond the batches in flight",
);
invariant(LIMITS.storeGroupBytes >= LIMITS.checkpointBytes, "one fsync takes the largest checkpoint");
invariant(LIMITS.coordinatorKeyBytes > 2 * LIMITS.conversationBytes, "the key of a conversation's home is not too long");
invariant(LIMITS.readerScanBytes >= 4 * LIMITS.pageBytes, "a reader finds a watermark behind three dead pipelines");
invariant(
  LIMITS.bucketMessages >= 2 * (LIMITS.batchesInFlight + 1) * LIMITS.batchMessages,
  "a bucket's worth of seqs always holds a watermark",
);
invariant(LIMITS.frameBytes > LIMITS.bodyBytesCeiling + LIMITS.batchBytes, "a frame holds the largest batch");
invariant(LIMITS.streamBacklogBytes >= 4 * (LIMITS.streamWindowBytes + LIMITS.frameBytes), "a writer that waits is never cut");
invariant(
  LIMITS.streamBacklogBytes >= LIMITS.pagesPerSession * (LIMITS.deliveryBytes + LIMITS.bodyBytesCeiling + LIMITS.batchBytes),
  "a session's pages do not break its stream",
);
invariant(LIMITS.answerWaitMs > LIMITS.callDeadlineMs, "a node's own deadline passes before its client gives it up");
invariant(LIMITS.pingMs + LIMITS.pingAnswerMs <= 3_000, "a dead session is noticed within 3 s");
invariant(LIMITS.pingDoubtMs < LIMITS.pingAnswerMs, "endpoints can answer a client in doubt before it chooses one");
invariant(
  LIMITS.avoidMs >= LIMITS.probeMs * (1 + LIMITS.probeJitter) + LIMITS.probeAnswerMs,
  "an endpoint that is avoided no longer has been probed since",
);
invariant(LIMITS.bucketMessages % LIMITS.batchMessages === 0, "full batches fill a bucket");
invariant(LIMITS.feedSilenceMs >= 3 * LIMITS.feedHeartbeatMs, "a feed is silent only after three missed heartbeats");
invariant(
  LIMITS.frameBytes > LIMITS.historyBytes + LIMITS.deliveryBytes + LIMITS.bodyBytesCeiling + LIMITS.batchBytes,
  "a frame holds the largest history",
);
invariant(
  LIMITS.frameBytes > 2 * (LIMITS.deliveryBytes + LIMITS.bodyBytesCeiling + LIMITS.batchBytes) + 16 * LIMITS.feedsPerLink,
  "a frame between nodes holds sends, batches and a heartbeat",
);
invariant(LIMITS.linkFeedBytes >= 4 * LIMITS.streamWindowBytes, "a feed is not ended for what a stream takes at once");
invariant(
  LIMITS.cassandraCallMs >= LIMITS.cassandraLargeTryMs + LIMITS.cassandraTryMs,
  "a node that stands still leaves time for another",
);
invariant(LIMITS.cassandraSuspectMs > 2 * LIMITS.cassandraTryMs, "the driver's heartbeat ends before a suspicion does");
