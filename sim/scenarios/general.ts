/** The circumstances that everybody thinks of first, while somebody speaks all the time. */
import type { Fault } from "../plan.ts";
import { LEADER, REGIONS, type Scenario, scenario, TALK } from "./build.ts";

/** The leader learns late that it is none: only its own look at its deadline can stop it. */
const DEAF: Fault = { atMs: 1_000, forMs: 18_000, kind: "watch-lag", node: LEADER, lagMs: 8_000 };

export const GENERAL: readonly Scenario[] = [
  scenario("a zombie paused between decision and write", {
    finds: ["no-look-before-ack", "older-news-believed"],
    story:
      "It is paused when it is about to write, another takes over, and its write lands at a quorum hours too late: it is not acknowledged.",
    busy: true,
    faults: [DEAF, { atMs: 5_000, forMs: 6_000, kind: "suspend-at", node: LEADER, moment: "append", timersLast: true }],
  }),
  scenario("a zombie paused between write and ack", {
    finds: ["dedup-not-rebuilt"],
    story: "Its write is committed, it sleeps through its lease, and wakes with the answer in its hand.",
    busy: true,
    faults: [DEAF, { atMs: 5_000, forMs: 6_000, kind: "suspend-at", node: LEADER, moment: "append answer", timersLast: true }],
  }),
  scenario("an event loop that stalls for longer than a lease", {
    finds: ["dedup-not-rebuilt"],
    story: "It hears all that came meanwhile before it looks at any timer.",
    busy: true,
    faults: [5_000, 12_000].map((atMs) => ({
      atMs,
      forMs: 5_000,
      kind: "pause-at" as const,
      node: LEADER,
      moment: "append" as const,
      timersLast: true,
    })),
  }),
  scenario("a write that one recovery sees and the next one does not", {
    finds: ["ack-out-of-order"],
    story: "Writes stand at one replica only while leaders change: what one of them adopted, the next one has, too.",
    busy: true,
    faults: [
      { atMs: 4_000, forMs: 8_000, kind: "store-trouble", lost: 40, unheard: 20, late: 0 },
      { atMs: 5_000, forMs: 2_000, kind: "crash", node: LEADER },
      { atMs: 9_000, forMs: 2_000, kind: "crash", node: LEADER },
      { atMs: 13_000, forMs: 2_000, kind: "crash", node: LEADER },
    ],
  }),
  scenario("hints that land after a takeover", {
    finds: ["evicted-producer-is-new", "dedup-not-rebuilt"],
    story: "Half of all copies come seconds late, under the epoch of a leader that is long gone.",
    busy: true,
    faults: [
      { atMs: 4_000, forMs: 6_000, kind: "store-trouble", lost: 0, unheard: 0, late: 40 },
      { atMs: 6_000, forMs: 6_000, kind: "crash", node: LEADER },
    ],
  }),
  scenario("a takeover that crashes, and the next one too", {
    finds: ["dedup-not-rebuilt"],
    story: "Each new leader of the region dies while it opens the conversation.",
    busy: true,
    moreNodes: ["east-2"],
    faults: [LEADER, "east-2", LEADER, "east-2"].map((node, i) => ({
      atMs: 4_000 + 2_500 * i,
      forMs: 2_400,
      kind: "crash" as const,
      node,
    })),
  }),
  scenario("a region is lost, and comes back with old data", {
    finds: ["dedup-not-rebuilt"],
    story: "Nothing that was acknowledged is missing, and the returned replica serves nobody a hole.",
    busy: true,
    faults: [{ atMs: 5_000, forMs: 9_000, kind: "region-lost", region: "east" }],
  }),
  scenario("a leader that is cut off from its region's clients and from the coordinator", {
    finds: ["dedup-not-rebuilt"],
    story: "Retries go through other regions while its successor takes over; no message stands twice.",
    busy: true,
    faults: [
      { atMs: 5_000, forMs: 8_000, kind: "cut", from: "east", to: "*", bothWays: true },
      { atMs: 14_000, forMs: 3_000, kind: "half-open", place: "east-c" },
    ],
  }),
  scenario("clock steps on the leader", {
    finds: ["dedup-not-rebuilt"],
    story: "Its wall clock jumps ahead and back, over its lease's deadline both ways.",
    busy: true,
    faults: [60_000, -120_000, 4_000].map((byMs, i) => ({
      atMs: 4_000 + 3_000 * i,
      forMs: 0,
      kind: "step" as const,
      node: LEADER,
      byMs,
    })),
  }),
  scenario("a deposed leader of the coordinator goes on answering", {
    finds: ["deposed-answer-accepted"],
    story: "The node renews its lease with it, while the new one lets the lease end.",
    busy: true,
    faults: [
      { atMs: 5_000, forMs: 9_000, kind: "elect", hears: [LEADER] },
      { atMs: 5_000, forMs: 9_000, kind: "watch-lag", node: LEADER, lagMs: 8_000 },
    ],
  }),
  scenario("compaction during a cut watch", {
    finds: ["compacted-changes-skipped"],
    story: "Of what happened meanwhile nothing is left to be told: the node lists again, and believes in no claim that is gone.",
    busy: true,
    faults: [
      { atMs: 3_000, forMs: 9_000, kind: "watch-lag", node: "south-1", lagMs: 8_000 },
      { atMs: 3_500, forMs: 5_000, kind: "crash", node: "west-1" },
      ...[4_000, 6_600, 6_700, 6_800, 7_000, 11_000].map((atMs) => ({ atMs, forMs: 0, kind: "compact" as const })),
    ],
  }),
  scenario("a hot conversation is moved while it is written, and back, and again", {
    finds: ["move-guarded-by-shard-key", "self-put-unguarded", "home-key-deleted-on-the-way-back", "epoch-from-shard-key-alone"],
    story: "Moves of unknown outcome land late, and no seq changes.",
    busy: true,
    faults: [{ atMs: 3_000, forMs: 14_000, kind: "txn-trouble", unknown: 50, busy: 10 }],
    operations: Array.from({ length: 12 }, (_, i) => ({
      atMs: 3_500 + 1_000 * i,
      kind: "move" as const,
      conversation: TALK,
      region: REGIONS[i % 3] ?? "east",
    })),
  }),
  scenario("readers with cursors over changes of leaders", {
    finds: ["dedup-not-rebuilt"],
    story: "Each is killed and goes on where it was.",
    busy: true,
    faults: [
      { atMs: 6_000, forMs: 2_000, kind: "crash", node: LEADER },
      { atMs: 12_000, forMs: 1_000, kind: "leave", node: "south-1" },
    ],
    operations: Array.from({ length: 9 }, (_, i) => ({
      atMs: 4_000 + 1_200 * i,
      kind: "restart" as const,
      actor: `${REGIONS[i % 3]}-c`,
    })),
  }),
];
