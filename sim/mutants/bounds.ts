/** What has a limit (G9). */
import type { Mutant } from "./mutant.ts";

export const UNBOUNDED: readonly Mutant[] = [
  {
    name: "window-without-limit",
    what: "A producer submits all that it has, however much has no outcome yet (G9).",
    patches: [
      {
        file: "src/client/send-window.ts",
        find: "const room = Math.max(0, LIMITS.producerInFlight - this.#sent.size);",
        replace: "const room = LIMITS.clientQueueMessages;",
      },
    ],
  },
  {
    name: "pipeline-without-limit",
    what: "A leader cuts batches, however many are on their way to the log (G9).",
    patches: [
      {
        file: "src/sequencer/leader.ts",
        find: "this.#pipeline.size < LIMITS.batchesInFlight",
        replace: "this.#pipeline.size < LIMITS.leaderQueueMessages",
      },
    ],
  },
  {
    name: "leader-queue-without-limit",
    what: "A leader takes every send that comes, however many wait (G9).",
    patches: [{ file: "src/sequencer/pending.ts", find: "if (full && size > 0) {", replace: "if (full && size < 0) {" }],
  },
  {
    name: "credit-ignored",
    what: "A gateway pushes whatever there is, whether its reader has handled the last of it or not (G9).",
    patches: [
      {
        file: "src/gateway/subscription.ts",
        find: "(!walk.behind || this.#creditBytes <= 0n)",
        replace: "!walk.behind",
      },
      {
        file: "src/gateway/subscription.ts",
        find: "return this.#creditBytes < LIMITS.deliveryBytes ? Number(this.#creditBytes) : LIMITS.deliveryBytes;",
        replace: "return LIMITS.deliveryBytes;",
      },
    ],
  },
  {
    name: "feed-never-cut",
    what: "Batches wait for a slow link without a limit (G9).",
    patches: [
      {
        file: "src/routing/outgoing-feeds.ts",
        find: "    if (this.#waitingBytes > LIMITS.linkFeedBytes) this.#cutLongest();\n",
        replace: "",
      },
    ],
  },
  {
    name: "homes-never-dropped",
    what: "A node remembers where every moved conversation is led, however many there are (G9).",
    patches: [
      {
        file: "src/membership/homes.ts",
        find: "if (this.#loose > LIMITS.homesRemembered) this.#dropLoose();",
        replace: "if (this.#loose < 0) this.#dropLoose();",
      },
    ],
  },
];
