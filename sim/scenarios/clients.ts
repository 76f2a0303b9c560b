/** What clients see: readers who come and go, sends that are given up. */
import type { Fault, Operation } from "../plan.ts";
import { chat, crash, down, LEADER, REGIONS, type Scenario, say, scenario, TALK } from "./build.ts";

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
  scenario("a send is given up, and its sender hears of it only when the window has passed", {
    story: "The void that took its place is beyond the window, and is not called a message all the same.",
    finds: ["void-beyond-the-window-forgotten"],
    troubledMs: 22_000,
    faults: [
      // It is given up before it has left; then the void is slow on its way.
      ...REGIONS.map((to): Fault => ({ atMs: 900, forMs: 5_100, kind: "cut", from: "west-c", to: `${to}-1`, bothWays: true })),
      { atMs: 5_500, forMs: 3_500, kind: "slow", from: "west", to: "east", extraMs: 1_500 },
      // Its answer finds nobody.
      ...REGIONS.map((to): Fault => ({ atMs: 7_200, forMs: 9_000, kind: "cut", from: "west-c", to: `${to}-1`, bothWays: true })),
    ],
    operations: [say(100, "west-c"), say(1_000, "west-c", { deadlineMs: 50 }), ...chat("east-c", 500, 15_000, 50)],
  }),
  scenario("a retry of a keyed send that comes after the window has passed", {
    story: "Its first try was accepted and never answered. Nobody can know any more that it was, so the retry is refused.",
    finds: ["key-window-ignored"],
    troubledMs: 16_000,
    faults: [{ atMs: 0, forMs: 6_000, kind: "cut", from: "west-1", to: "west-c", bothWays: false }],
    operations: [
      { atMs: 500, kind: "unary", actor: "west-c", conversation: TALK, key: "letter", base: 0, pauseMs: 8_000 },
      // More than are remembered.
      ...chat("east-c", 1_000, 8_000, 50),
    ],
  }),
  scenario("slow readers while their leader hands over", {
    finds: ["cursor-before-handler"],
    story: "They are far behind when it goes, and lose nothing.",
    handlerMs: 300,
    troubledMs: 6_000,
    faults: [
      { atMs: 2_500, forMs: 2_000, kind: "leave", node: LEADER },
      { atMs: 4_700, forMs: 1_000, kind: "leave", node: "south-1" },
    ],
    operations: chat("east-c", 500, 5_500, 100),
  }),
  scenario("a leader whose clock was far ahead for a while", {
    finds: ["dedup-not-rebuilt"],
    story: "Ids go on growing in the conversation that it led, also with the next leader, and are never given out twice.",
    troubledMs: 14_000,
    faults: [{ atMs: 1_000, forMs: 2_000, kind: "lie", node: LEADER, byMs: 30_000 }, crash(6_000, LEADER, 6_000)],
    operations: [...chat("east-c", 500, 13_000, 150), ...chat("south-c", 500, 13_000, 170)],
  }),
  scenario("pages that change replicas while they are read", {
    finds: ["page-without-chain"],
    story: "One replica has only some of the rows; readers who begin again and again are shown no hole.",
    troubledMs: 9_000,
    faults: [
      {
        atMs: 400,
        forMs: 0,
        kind: "copies",
        node: LEADER,
        of: "row",
        skip: 3,
        count: 20,
        reach: ["east-r1", "south-r1"],
        lateMs: 6_000,
      },
      down(4_000, "south-r1", 1_500),
    ],
    operations: [
      ...chat("east-c", 500, 4_000, 100),
      ...Array.from({ length: 8 }, (_, i): Operation => ({ atMs: 1_000 + 700 * i, kind: "restart", actor: "west-c" })),
    ],
  }),
];
