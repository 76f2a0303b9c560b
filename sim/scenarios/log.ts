/** What the log's rules (R3 to R10) are for: writes that stand at few replicas while leaders change. */
import { crash, down, LEADER, rows, type Scenario, say, scenario } from "./build.ts";

export const LOG: readonly Scenario[] = [
  scenario("a row at one replica, which one recovery sees and the next one does not", {
    story: "Whoever adopts it writes it again at a quorum before its sender hears of it.",
    finds: ["no-rewrite"],
    hinted: 0,
    readFromMs: 19_000,
    faults: [
      rows(1_000, LEADER, ["south-r1"], { count: 9 }),
      crash(1_300, LEADER, 16_000),
      down(8_000, "south-r1", 8_000),
      crash(8_000, "south-1", 8_000),
    ],
    operations: [say(500, "east-c"), say(1_100, "east-c"), say(9_000, "west-c")],
  }),
  scenario("a row at one replica, written again under each epoch that adopts it", {
    story: "Two leaders in a row die with a row of theirs at one replica: of these two only one can come to stay.",
    finds: ["rewrite-under-old-epoch"],
    hinted: 0,
    readFromMs: 11_000,
    troubledMs: 17_000,
    moreNodes: ["south-2"],
    faults: [
      rows(1_000, LEADER, ["south-r1"], { count: 9 }),
      crash(1_300, LEADER, 15_000),
      // The second leader does not see it, and writes another row there, at one replica, too.
      down(1_300, "south-r1", 4_500),
      rows(1_300, "south-2", ["west-r1"], { about: "#2", count: 9 }),
      // The third one sees the first row only, and the fourth one sees both.
      crash(5_800, "south-2", 10_000),
      down(5_800, "west-r1", 4_700),
      crash(10_500, "south-1", 6_000),
      down(10_500, "east-r1", 5_500),
    ],
    operations: [say(500, "east-c"), say(1_100, "east-c")],
  }),
  scenario("a leader that dies while it writes the tail again", {
    story: "It leaves the first of two acknowledged rows under its epoch, and the second under the one before.",
    finds: ["stop-where-epoch-falls"],
    hinted: 0,
    readFromMs: 1_300,
    troubledMs: 12_000,
    faults: [crash(1_150, LEADER, 10_000), rows(1_200, "south-1", [], { skip: 1, count: 9 }), crash(5_500, "south-1", 6_000)],
    operations: [say(500, "east-c"), say(1_100, "east-c"), say(1_100, "west-c"), say(7_000, "west-c", { sender: "bob" })],
  }),
];
