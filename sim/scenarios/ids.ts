/** Ids (design §7): worker numbers that change hands between clocks that differ by seconds, and clients that lie. */
import { chat, crash, LEADER, type Scenario, scenario } from "./build.ts";

/** Led in the west; nobody who writes there has seen an id of the east. */
const OPS = "ops@west";

export const IDS: readonly Scenario[] = [
  scenario("a node learns which worker number is free, and claims it late", {
    story: "Meanwhile another node has had the number, and made ids with it that lie seconds ahead.",
    finds: ["worker-claim-without-fence"],
    moreConversations: [OPS],
    readers: ["east", "south"],
    // All of the eight numbers but one are held, so both choose the same.
    moreNodes: ["east-2", "south-2", "south-3", "south-4"],
    troubledMs: 16_000,
    faults: [
      crash(500, "east-2", 4_500),
      crash(500, "west-1", 4_460),
      { atMs: 4_961, forMs: 1_700, kind: "pause-at", node: "west-1", moment: "txn", about: "workers/", timersLast: false },
      { atMs: 5_001, forMs: 10_000, kind: "lie", node: "east-2", byMs: 6_000 },
      { atMs: 5_600, forMs: 10_000, kind: "leave", node: "east-2" },
    ],
    operations: [...chat("east-c", 4_000, 5_600, 10), ...chat("west-c", 10_500, 12_500, 4, OPS)],
  }),
  scenario("a worker number whose holder's clock was ahead goes to another node", {
    story: "Its ids lie in the other one's future: the fence keeps the number back until they are past.",
    finds: ["id-fence-ignored"],
    moreConversations: [OPS],
    readers: ["east"],
    // Of eight numbers six are held, and two more by the processes of a node that dies again and again.
    moreNodes: ["south-2", "south-3", "south-4"],
    troubledMs: 14_000,
    faults: [
      { atMs: 500, forMs: 1_500, kind: "lie", node: LEADER, byMs: 9_000 },
      crash(2_000, LEADER, 12_000),
      ...[4_000, 4_400, 5_300].map((atMs) => crash(atMs, "west-1", 100)),
    ],
    operations: [...chat("east-c", 500, 1_900, 10), ...chat("west-c", 8_000, 12_000, 4, OPS)],
  }),
  scenario("a client that says that it has seen an id from the next week", {
    story: "Its messages get ids of today, and so do those of everybody else.",
    finds: ["client-floor-unlimited"],
    boasts: { actor: "south-c", byMs: 7 * 86_400_000 },
    troubledMs: 4_000,
    faults: [],
    operations: [...chat("east-c", 500, 3_000, 150), ...chat("south-c", 1_000, 2_000, 170)],
  }),
];
