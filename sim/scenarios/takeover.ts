/** A takeover that dies at each of its steps, while the rows of the former leader stand at one replica each. */
import type { Moment } from "../process.ts";
import { crash, LEADER, rows, type Scenario, say, scenario } from "./build.ts";

interface StepOfTakeover {
  readonly step: string;
  readonly moment: Moment;
  readonly about?: string;
  readonly skip?: number;
}

const STEPS: readonly StepOfTakeover[] = [
  { step: "claims the shard", moment: "txn", about: "shards/east/2" },
  { step: "learns that the shard is its own", moment: "txn answer", about: "shards/east/2" },
  { step: "has read the epoch mark", moment: "read answer", about: "mark" },
  { step: "has read the checkpoint", moment: "read answer", about: "checkpoint" },
  { step: "has read the log", moment: "read answer", about: "standup" },
  { step: "writes the first row again", moment: "append", about: "#2" },
  { step: "has written the first row again", moment: "append answer", about: "#2" },
  { step: "has written the second row again", moment: "append answer", about: "#3" },
];

export const TAKEOVER: readonly Scenario[] = STEPS.map(({ step, moment, about, skip = 0 }) =>
  scenario(`a node that takes over dies when it ${step}`, {
    story: "Whoever comes after it finds what it left, adopts what may have been acknowledged, and nobody hears two answers.",
    finds: [],
    hinted: 0,
    readFromMs: 3_000,
    troubledMs: 16_000,
    faults: [
      rows(1_000, LEADER, ["south-r1", "east-r1"], { about: "#2" }),
      rows(1_000, LEADER, ["west-r1"], { about: "#3" }),
      crash(1_400, LEADER, 12_000),
      { atMs: 1_400, forMs: 7_000, kind: "crash-at", node: "south-1", moment, skip, ...(about === undefined ? {} : { about }) },
    ],
    operations: [
      say(500, "east-c"),
      say(1_100, "east-c"),
      say(1_150, "west-c"),
      say(6_000, "west-c", { sender: "bob" }),
      say(9_000, "south-c", { sender: "bob" }),
    ],
  }),
);
