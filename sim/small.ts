import type { Patch } from "./patch.ts";

/**
 * The simulator's limits: small ones, so that what production meets once a year (a window that has passed, a producer that
 * was forgotten, the end of a bucket, a checkpoint while the leader goes on) happens in every history. The relations
 * between limits are asserted when the file is loaded, for these values too.
 */
const VALUES: Readonly<Record<string, readonly [was: string, is: string]>> = {
  batchMessages: ["128", "4"],
  bucketMessages: ["4_096", "72"],
  dedupMessages: ["65_536", "64"],
  dedupProducers: ["10_000", "6"],
  checkpointLogRatio: ["8", "1"],
  checkpointLogBytes: ["256 * KIB", "2 * KIB"],
  shardsPerRegion: ["128", "3"],
  coordinatorPageKeys: ["1_000", "2"],
  coordinatorHistoryChanges: ["10_000", "200"],
  homesRemembered: ["100_000", "1"],
  hintsRemembered: ["10_000", "1"],
  recentBytes: ["2 * MIB", "2 * KIB"],
  readerPageBytes: ["MIB", "2 * KIB"],
  followerLingerMs: ["10_000", "2_000"],
  idleMs: ["60_000", "5_000"],
  openConversations: ["20_000", "4"],
  producerInFlight: ["1_024", "24"],
  leaderQueueMessages: ["8_192", "64"],
  clientQueueMessages: ["65_536", "64"],
  reorderMessages: ["4_096", "24"],
  reorderBytes: ["16 * MIB", "2 * KIB"],
  subscriptionCreditBytes: ["4 * MIB", "2 * KIB"],
  deliveryBytes: ["512 * KIB", "KIB"],
  recentBytesNode: ["256 * MIB", "4 * KIB"],
  followersLingering: ["1_024", "1"],
  linkRunBytes: ["32 * MIB", "16 * KIB"],
  linkFeedBytes: ["16 * MIB", "8 * KIB"],
  streamWindowBytes: ["MIB", "2 * KIB"],
  pagesPerSession: ["8", "2"],
  pagesAtOnce: ["64", "2"],
};

/** So few worker numbers for ids that each is soon held by somebody else. */
const WORKERS: Patch = {
  file: "src/ids/layout.ts",
  find: "timeBits: 41, workerBits: 10, counterBits: 12",
  replace: "timeBits: 41, workerBits: 3, counterBits: 19",
};

export const SMALL: readonly Patch[] = [
  ...Object.entries(VALUES).map(([limit, [was, is]]) => ({
    file: "src/kernel/limits.ts",
    find: `\n  ${limit}: ${was},`,
    replace: `\n  ${limit}: ${is},`,
  })),
  WORKERS,
];
