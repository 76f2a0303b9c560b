/** Who leads (design §5): claims, transfers, moves, and what of them lands late. */
import type { Fault } from "../plan.ts";
import { chat, crash, deaf, LEADER, loseTxn, move, type Scenario, say, scenario } from "./build.ts";

export const LEADERSHIP: readonly Scenario[] = [
  scenario("a move that lands after its node is gone", {
    story: "Another node owns the shard by then, and leads: the move of the former one does not count.",
    finds: ["move-guarded-by-home-key"],
    troubledMs: 10_000,
    faults: [loseTxn(900, LEADER, "homes/", 6_000), crash(1_100, LEADER, 8_000), deaf(5_500, "south-1", 5_000)],
    operations: [say(500, "east-c"), move(1_000, "west"), ...chat("west-c", 6_000, 9_000, 200)],
  }),
  scenario("a transfer that lands seconds after its answer was given up", {
    story: "The shard's owner says nothing any more under the claim that it tried to give away.",
    finds: ["transfer-resumed", "transfer-unguarded"],
    moreNodes: ["east-2"],
    troubledMs: 12_000,
    faults: [crash(500, "east-2", 4_500), loseTxn(4_900, "east-1", "shards/east/2", 3_000), deaf(6_000, "east-1", 6_000)],
    operations: chat("east-c", 4_000, 11_000, 200),
  }),
  scenario("a transfer whose answer comes late", {
    story: "From when it is sent nothing is said under the old claim.",
    finds: ["transfer-not-sealed", "epoch-from-create-revision"],
    moreNodes: ["east-2"],
    troubledMs: 10_000,
    faults: [crash(500, "east-2", 4_500), loseTxn(4_900, "east-1", "shards/east/2", 0), deaf(4_900, "east-1", 5_000)],
    operations: chat("east-c", 4_000, 8_000, 50),
  }),
  scenario("a move whose answer comes late", {
    story: "From when it is sent nothing is said under the old epoch, also not of what was under way.",
    finds: ["ack-after-move-sent"],
    troubledMs: 6_000,
    faults: [
      loseTxn(900, LEADER, "homes/", 0),
      deaf(800, LEADER, 5_000),
      { atMs: 900, forMs: 1_000, kind: "slow", from: "east", to: "south", extraMs: 400 },
      { atMs: 900, forMs: 1_000, kind: "slow", from: "east", to: "west", extraMs: 400 },
    ],
    operations: [move(1_000, "south"), ...chat("east-c", 500, 1_000, 10), ...chat("south-c", 500, 2_500, 50)],
  }),
  scenario("a move takes long to be sent, and somebody asks for the conversation meanwhile", {
    story: "It waits until the move has its outcome: nobody leads beside it.",
    finds: ["let-go-leader-moves"],
    troubledMs: 6_000,
    faults: [
      deaf(800, LEADER, 5_000),
      { atMs: 900, forMs: 1_000, kind: "slow", from: "east", to: "etcd", extraMs: 150 },
      { atMs: 900, forMs: 1_000, kind: "slow", from: "etcd", to: "east", extraMs: 150 },
    ],
    operations: [move(1_000, "south"), ...chat("east-c", 500, 3_000, 40), ...chat("south-c", 500, 3_000, 50)],
  }),
  scenario("a shard is claimed by a node that has not heard of a move", {
    story: "It lists the home keys under its claim, so it knows that the conversation is led elsewhere.",
    finds: ["homes-listed-before-claim"],
    moreNodes: ["east-2"],
    readFromMs: 13_000,
    troubledMs: 14_000,
    faults: [
      deaf(500, "east-1", 13_000),
      crash(2_500, "east-2", 11_000),
      // Its clients have nobody else to ask.
      ...["south", "west"].map((to): Fault => ({ atMs: 0, forMs: 13_000, kind: "cut", from: "east-c", to, bothWays: true })),
    ],
    operations: [say(300, "west-c"), move(1_000, "south"), say(1_500, "south-c"), ...chat("east-c", 7_000, 12_000, 500)],
  }),
  scenario("a shard is claimed by a node that has heard of the first of two moves", {
    story: "It reads the home key under its claim before it believes that the conversation is led there.",
    finds: ["home-key-not-read"],
    moreNodes: ["south-2"],
    readFromMs: 15_000,
    troubledMs: 16_000,
    faults: [
      deaf(2_000, "south-2", 13_000),
      crash(4_500, "south-1", 11_000),
      // Its clients have nobody else to ask.
      ...["east", "west"].map((to): Fault => ({ atMs: 0, forMs: 15_000, kind: "cut", from: "south-c", to, bothWays: true })),
    ],
    operations: [
      say(300, "east-c"),
      move(1_000, "south"),
      move(3_000, "west"),
      ...chat("west-c", 3_100, 9_000, 500),
      ...chat("south-c", 9_000, 14_000, 500),
    ],
  }),
  scenario("a transfer lands after its receiver has started anew", {
    story: "The key bears the receiver's address, but the lease of its former process: when that ends, another node takes it.",
    finds: ["ownership-by-node-name"],
    moreNodes: ["east-2", "east-5"],
    troubledMs: 14_000,
    faults: [
      crash(500, "east-2", 4_500),
      // It is preferred to both others, and comes last.
      crash(500, "east-5", 6_000),
      loseTxn(4_900, "east-1", "shards/east/2", 500),
      crash(5_300, "east-2", 150),
      deaf(5_920, "east-2", 8_000),
    ],
    operations: chat("east-c", 4_000, 12_000, 100),
  }),
];
