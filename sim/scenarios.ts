/**
 * Named histories: the situations that the protocol is made for, each alone, in a calm world. The general mix finds the same,
 * sooner or later; these say it in a few lines, and each names the seeded bugs (sim/mutants.ts) that it is there to find.
 */
import type { ActorPlan, Fault, Operation, Plan } from "./plan.ts";

export interface Scenario {
  readonly name: string;
  /** What must hold although this happens. */
  readonly story: string;
  readonly plan: Plan;
}

const REGIONS = ["east", "south", "west"];
const TALK = "standup@east";

/** One node a region; clients there that read everything; somebody says something twenty times a second. */
function scenario(
  name: string,
  story: string,
  options: {
    readonly faults: readonly Fault[];
    readonly operations?: readonly Operation[];
    readonly seed?: number;
    readonly twoInEast?: boolean;
  },
): Scenario {
  const { faults, operations = [], seed = 1, twoInEast = false } = options;
  const nodes = [...REGIONS.map((region) => `${region}-1`), ...(twoInEast ? ["east-2"] : [])];
  const actors = REGIONS.map((region, i): ActorPlan => {
    const reads = [
      { conversation: TALK, cursor: (["application", "server", "none"] as const)[i] ?? "none", handlerMs: 0, fails: 0 },
    ];
    return { name: `${region}-c`, region, prefers: [region, ...REGIONS.filter((other) => other !== region)], reads };
  });
  const talk = Array.from({ length: 300 }, (_, i): Operation => {
    const actor = `${REGIONS[i % 3]}-c`;
    return { atMs: 50 * i, kind: "send", actor, sender: `sender-${i % 2}`, conversation: TALK, messages: 1 };
  });
  return {
    name,
    story,
    plan: {
      seed,
      regions: REGIONS,
      nodes: nodes.map((node) => ({
        name: node,
        region: node.slice(0, node.lastIndexOf("-")),
        monotonicRate: 1,
        wallRate: 1,
        offsetMs: 0,
        errorMs: 1,
      })),
      replicasPerRegion: 1,
      linkMsMin: 2,
      linkMsSpread: 4,
      hintMs: 8_000,
      hinted: 100,
      lateTxnMs: 4_000,
      conversations: [TALK],
      actors,
      troubledMs: 20_000,
      faults,
      operations: [...talk, ...operations].sort((a, b) => a.atMs - b.atMs),
    },
  };
}

const LEADER = "east-1";

/** The leader learns late that it is none: only its own look at its deadline can stop it. */
const DEAF: Fault = { atMs: 1_000, forMs: 18_000, kind: "watch-lag", node: LEADER, lagMs: 8_000 };

export const SCENARIOS: readonly Scenario[] = [
  scenario(
    "a zombie paused between decision and write",
    "It is paused when it is about to write, another takes over, and its write lands at a quorum hours too late: it is not acknowledged.",
    {
      faults: [DEAF, { atMs: 5_000, forMs: 6_000, kind: "suspend-at", node: LEADER, moment: "append", timersLast: true }],
    },
  ),
  scenario(
    "a zombie paused between write and ack",
    "Its write is committed, it sleeps through its lease, and wakes with the answer in its hand.",
    {
      faults: [DEAF, { atMs: 5_000, forMs: 6_000, kind: "suspend-at", node: LEADER, moment: "append answer", timersLast: true }],
    },
  ),
  scenario(
    "an event loop that stalls for longer than a lease",
    "It hears all that came meanwhile before it looks at any timer.",
    {
      faults: [5_000, 12_000].map((atMs) => ({
        atMs,
        forMs: 5_000,
        kind: "pause-at" as const,
        node: LEADER,
        moment: "append" as const,
        timersLast: true,
      })),
    },
  ),
  scenario(
    "a write that one recovery sees and the next one does not",
    "Writes stand at one replica only while leaders change: what one of them adopted, the next one has, too.",
    {
      faults: [
        { atMs: 4_000, forMs: 8_000, kind: "store-trouble", lost: 40, unheard: 20, late: 0 },
        { atMs: 5_000, forMs: 2_000, kind: "crash", node: LEADER },
        { atMs: 9_000, forMs: 2_000, kind: "crash", node: LEADER },
        { atMs: 13_000, forMs: 2_000, kind: "crash", node: LEADER },
      ],
    },
  ),
  scenario(
    "hints that land after a takeover",
    "Half of all copies come seconds late, under the epoch of a leader that is long gone.",
    {
      faults: [
        { atMs: 4_000, forMs: 6_000, kind: "store-trouble", lost: 0, unheard: 0, late: 40 },
        { atMs: 6_000, forMs: 6_000, kind: "crash", node: LEADER },
      ],
    },
  ),
  scenario(
    "a takeover that crashes, and the next one too",
    "Each new leader of the region dies while it opens the conversation.",
    {
      twoInEast: true,
      faults: [LEADER, "east-2", LEADER, "east-2"].map((node, i) => ({
        atMs: 4_000 + 2_500 * i,
        forMs: 2_400,
        kind: "crash" as const,
        node,
      })),
    },
  ),
  scenario(
    "a region is lost, and comes back with old data",
    "Nothing that was acknowledged is missing, and the returned replica serves nobody a hole.",
    {
      faults: [{ atMs: 5_000, forMs: 9_000, kind: "region-lost", region: "east" }],
    },
  ),
  scenario(
    "a leader that is cut off from its region's clients and from the coordinator",
    "Retries go through other regions while its successor takes over; no message stands twice.",
    {
      faults: [
        { atMs: 5_000, forMs: 8_000, kind: "cut", from: "east", to: "*", bothWays: true },
        { atMs: 14_000, forMs: 3_000, kind: "half-open", place: "east-c" },
      ],
    },
  ),
  scenario("clock steps on the leader", "Its wall clock jumps ahead and back, over its lease's deadline both ways.", {
    faults: [60_000, -120_000, 4_000].map((byMs, i) => ({
      atMs: 4_000 + 3_000 * i,
      forMs: 0,
      kind: "step" as const,
      node: LEADER,
      byMs,
    })),
  }),
  scenario(
    "a deposed leader of the coordinator goes on answering",
    "The node renews its lease with it, while the new one lets the lease end.",
    {
      faults: [
        { atMs: 5_000, forMs: 9_000, kind: "elect", hears: [LEADER] },
        { atMs: 5_000, forMs: 9_000, kind: "watch-lag", node: LEADER, lagMs: 8_000 },
      ],
    },
  ),
  scenario("compaction during a cut watch", "The node lists again, and believes in no claim that is gone.", {
    faults: [4_000, 6_000, 8_000, 11_000].map((atMs) => ({ atMs, forMs: 0, kind: "compact" as const })),
  }),
  scenario(
    "a hot conversation is moved while it is written, and back, and again",
    "Moves of unknown outcome land late, and no seq changes.",
    {
      faults: [{ atMs: 3_000, forMs: 14_000, kind: "txn-trouble", unknown: 50, busy: 10 }],
      operations: Array.from({ length: 12 }, (_, i) => ({
        atMs: 3_500 + 1_000 * i,
        kind: "move" as const,
        conversation: TALK,
        region: REGIONS[i % 3] ?? "east",
      })),
    },
  ),
  scenario("readers with cursors over changes of leaders", "Each is killed and goes on where it was.", {
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
