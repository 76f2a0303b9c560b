/** What clients see: readers who come and go, sends that are given up. */
import type { Fault } from "../plan.ts";
import { chat, type Scenario, say, scenario } from "./build.ts";

export const CLIENTS: readonly Scenario[] = [
  scenario("a reader begins just before the last message", {
    story: "Whatever is committed while it looks for the head reaches it.",
    finds: ["feed-after-catch-up"],
    troubledMs: 3_000,
    faults: [],
    operations: [
      ...chat("east-c", 500, 1_500, 100),
      { atMs: 1_500, kind: "restart", actor: "south-c" },
      ...[1_550, 1_650, 1_750, 1_850].map((atMs) => say(atMs, "east-c")),
    ],
  }),
  scenario("a send is given up, and a copy of it arrives after that", {
    story: "What was called expired is never handed to anybody: a void took its place.",
    finds: ["skip-not-recorded"],
    readFromMs: 15_000,
    troubledMs: 16_000,
    faults: [
      // Its first gateway is in the south.
      ...["east-1", "west-1"].map((to): Fault => ({ atMs: 0, forMs: 3_900, kind: "cut", from: "west-c", to, bothWays: true })),
      // It is slow on its way from there; the sender has gone to another gateway meanwhile.
      { atMs: 11_000, forMs: 2_600, kind: "slow", from: "south", to: "east", extraMs: 2_500 },
      { atMs: 11_200, forMs: 0, kind: "reset", place: "west-c" },
    ],
    operations: [say(100, "west-c"), say(11_100, "west-c", { deadlineMs: 50 }), ...chat("east-c", 500, 15_000, 200)],
  }),
];
