/** The coordinator's habits: what it forgets, tells late, or tells in two parts. */
import type { Fault } from "../plan.ts";
import { chat, type Scenario, scenario } from "./build.ts";

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
];
