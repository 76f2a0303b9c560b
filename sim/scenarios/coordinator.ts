/** The coordinator's habits: what it forgets, tells late, or tells in two parts. */
import type { Fault } from "../plan.ts";
import { chat, crash, LEADER, move, rows, type Scenario, say, scenario } from "./build.ts";

export const COORDINATOR: readonly Scenario[] = [
  scenario("a watch that is cut while it lags", {
    story: "It goes on where it was, and not where the coordinator was.",
    finds: ["watch-cursor-from-header"],
    troubledMs: 9_000,
    faults: [
      { atMs: 1_000, forMs: 7_000, kind: "watch-lag", node: "south-1", lagMs: 1_500 },
      { atMs: 1_500, forMs: 2_000, kind: "crash", node: "west-1" },
      ...Array.from({ length: 12 }, (_, i): Fault => ({ atMs: 5_900 + 40 * i, forMs: 0, kind: "watch-cut", node: "south-1" })),
    ],
    operations: [...chat("east-c", 500, 4_000, 500)],
  }),
  scenario("a coordinator that has lost all it knew, and a write from before that lands late", {
    story: "It gives out the same revisions once more. The mark in the log store knows which were used.",
    finds: ["mark-compared-after-writing"],
    // With this one the claim gets the very revision that it had before.
    seed: 38,
    troubledMs: 30_000,
    readFromMs: 17_000,
    faults: [
      rows(1_000, LEADER, [], { about: "#1", count: 9, lateMs: 26_000 }),
      { atMs: 1_300, forMs: 14_000, kind: "restore", byTheBook: false },
    ],
    operations: [say(1_100, "west-c"), say(20_000, "south-c"), move(28_000, "west")],
  }),
  scenario("a coordinator that is restored from a backup without raising the incarnation", {
    story: "Nobody leads under the low epochs that it gives out, until they are above all that were used.",
    finds: ["mark-not-compared", "higher-row-ignored", "higher-checkpoint-ignored"],
    troubledMs: 40_000,
    readFromMs: 39_000,
    faults: [
      ...Array.from({ length: 6 }, (_, i) => crash(500 + 1_000 * i, "west-1", 500)),
      crash(6_000, LEADER, 500),
      rows(12_000, LEADER, [], { about: "#3", count: 9, lateMs: 20_000 }),
      { atMs: 12_500, forMs: 14_000, kind: "restore", byTheBook: false },
      crash(35_000, LEADER, 3_000),
    ],
    operations: [
      say(11_000, "south-c"),
      say(11_500, "south-c"),
      say(12_100, "south-c"),
      ...chat("south-c", 28_000, 38_000, 1_000),
    ],
  }),
  scenario("a coordinator that is restored from a backup by the book", {
    finds: ["epoch-from-shard-key-alone"],
    story: "The raised incarnation outweighs the low revisions.",
    troubledMs: 30_000,
    faults: [
      { atMs: 500, forMs: 0, kind: "backup" },
      crash(1_000, LEADER, 1_000),
      { atMs: 8_000, forMs: 14_000, kind: "restore", byTheBook: true },
    ],
    operations: [...chat("south-c", 500, 29_000, 500), move(6_000, "west")],
  }),
];
