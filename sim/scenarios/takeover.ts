/** A takeover that dies at each of its steps, with two acknowledged rows that it must not lose. */
import type { Moment } from "../process.ts";
import { crash, LEADER, rows, type Scenario, say, scenario } from "./build.ts";

interface StepOfTakeover {
  readonly step: string;
  readonly moment: Moment;
  readonly about: string;
  /** It leaves the first row under its own epoch, and the second one under the one before. */
  readonly falls?: boolean;
}

const STEPS: readonly StepOfTakeover[] = [
  { step: "claims the shard", moment: "txn", about: "shards/east/2" },
  { step: "learns that the shard is its own", moment: "txn answer", about: "shards/east/2" },
  { step: "has read the epoch mark", moment: "read answer", about: "mark" },
  { step: "has read the checkpoint", moment: "read answer", about: "checkpoint" },
  { step: "has read the log", moment: "read answer", about: "standup" },
  { step: "writes the first row again", moment: "append", about: "#2" },
  { step: "has written the first row again", moment: "append answer", about: "#2", falls: true },
  { step: "has waited for the second row in vain", moment: "append answer", about: "#3", falls: true },
];

export const TAKEOVER: readonly Scenario[] = STEPS.map(({ step, moment, about, falls = false }) =>
  scenario(`a node that takes over dies when it ${step}`, {
    story: "Whoever comes after it finds what it left, adopts what may have been acknowledged, and nobody hears two answers.",
    finds: ["recovery-from-one-replica", ...(falls ? ["stop-where-epoch-falls"] : [])],
    hinted: 0,
    readFromMs: 3_000,
    troubledMs: 16_000,
    faults: [
      // Both are acknowledged, and no row tells of it. What is written again after the first of them is lost.
      rows(1_000, LEADER, ["south-r1", "east-r1"], { count: 2 }),
      crash(1_150, LEADER, 12_000),
      rows(1_200, "south-1", [], { skip: 1, count: 9 }),
      { atMs: 1_200, forMs: 7_000, kind: "crash-at", node: "south-1", moment, about },
    ],
    operations: [
      say(500, "east-c"),
      say(1_100, "east-c"),
      say(1_100, "west-c"),
      say(6_000, "west-c", { sender: "bob" }),
      say(9_000, "south-c", { sender: "bob" }),
    ],
  }),
);
