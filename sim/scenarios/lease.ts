/** The node's lease (design §5): clocks, and what the coordinator's answers are worth. */

import type { Fault } from "../plan.ts";
import { chat, LEADER, type Scenario, scenario } from "./build.ts";

/** It hears nothing of the coordinator any more, and goes on talking to everybody else. */
function lonely(atMs: number, forMs: number): Fault {
  return { atMs, forMs, kind: "cut", from: LEADER, to: "etcd", bothWays: true };
}

const SLOW = { monotonicRate: 0.672, wallRate: 0.672 };

export const LEASE: readonly Scenario[] = [
  scenario("a leader that is cut off from the coordinator, and its wall clock steps back", {
    story: "Its monotonic clock knows better.",
    finds: ["lease-on-wall-clock-alone"],
    troubledMs: 7_000,
    faults: [{ atMs: 1_100, forMs: 0, kind: "step", node: LEADER, byMs: -60_000 }, lonely(1_000, 6_000)],
    operations: chat("south-c", 500, 6_000, 200),
  }),
  scenario("a leader whose machine is suspended for longer than its lease", {
    story: "Its monotonic clock stood still; its wall clock knows better.",
    finds: ["lease-on-monotonic-clock-alone"],
    troubledMs: 7_000,
    faults: [{ atMs: 1_000, forMs: 6_000, kind: "suspend", node: LEADER }],
    operations: chat("south-c", 500, 6_000, 200),
  }),
  scenario("a leader with slow clocks is cut off from the coordinator", {
    story: "The margin is for that.",
    finds: ["lease-without-margin"],
    clocks: { [LEADER]: SLOW },
    troubledMs: 7_000,
    faults: [lonely(1_000, 6_000)],
    operations: chat("south-c", 500, 6_000, 200),
  }),
  scenario("a leader with slow clocks to which the coordinator answers late, and then not at all", {
    story: "What it was promised counts from when it asked.",
    finds: ["lease-from-receipt"],
    clocks: { [LEADER]: SLOW },
    troubledMs: 12_000,
    faults: [
      { atMs: 500, forMs: 7_000, kind: "slow", from: "etcd", to: "east", extraMs: 700 },
      // What it asks does not arrive any more, but an answer is on its way.
      { atMs: 5_000, forMs: 6_000, kind: "cut", from: LEADER, to: "etcd", bothWays: false },
    ],
    operations: chat("south-c", 500, 10_000, 200),
  }),
  scenario("a renewal that the coordinator's next leader accepts, when the one before has decided to end the lease", {
    story: "Its answer comes after the deadline, and so counts for nothing.",
    finds: ["late-renewal"],
    clocks: { [LEADER]: SLOW },
    leaseLateMs: 1_500,
    seed: 2,
    troubledMs: 9_000,
    faults: [
      // Nothing arrives for as long as the lease lasts; one renewal, sent just before its end, arrives after it.
      { atMs: 1_000, forMs: 2_200, kind: "slow", from: "east", to: "etcd", extraMs: 60_000 },
      { atMs: 3_200, forMs: 900, kind: "slow", from: "east", to: "etcd", extraMs: 600 },
      { atMs: 4_000, forMs: 0, kind: "elect", hears: [] },
      lonely(4_250, 3_000),
    ],
    operations: chat("south-c", 500, 8_000, 200),
  }),
];
