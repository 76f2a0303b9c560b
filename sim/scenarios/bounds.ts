/** More than there is room for: every buffer is filled to its limit, and what happens then is what its limit says. */
import { down, LEADER, REGIONS, type Scenario, say, scenario } from "./build.ts";

const SENDERS = ["ada", "bob", "cy"];

export const BOUNDED: readonly Scenario[] = [
  scenario("more is sent than the log takes in", {
    story:
      "The log has no majority for a while. Everything fills up, from the pipeline to the clients' own queues, and no further.",
    finds: ["window-without-limit", "pipeline-without-limit", "leader-queue-without-limit"],
    troubledMs: 9_000,
    faults: [down(1_000, "south-r1", 3_000), down(1_000, "west-r1", 3_000)],
    operations: REGIONS.flatMap((region, i) =>
      SENDERS.map((sender, j) => say(1_100 + 50 * (3 * i + j), `${region}-c`, { sender, messages: 48 })),
    ),
  }),
  scenario("readers that are much slower than what is said", {
    story: "They are pushed as much as they have room for, and read the rest in the log in their own time.",
    finds: ["credit-ignored"],
    busy: true,
    handlerMs: 400,
    faults: [],
  }),
  scenario("a link that does not keep up with what is said", {
    story: "The feed with most of what waits is ended, and its reader goes on from the log.",
    finds: ["feed-never-cut"],
    busy: true,
    faults: ["south-1", "west-1"].map((to) => ({
      atMs: 3_000,
      forMs: 2_500,
      kind: "cut" as const,
      from: LEADER,
      to,
      bothWays: false,
    })),
  }),
];
