/** What senders are told and readers are shown (§9). */
import type { Mutant } from "./mutant.ts";

export const READING: readonly Mutant[] = [
  {
    name: "second-try-passes-for-refusal",
    what: "What a gateway's second try throws is told as if it were the first one's. A real bug, found by seed 1805796026.",
    patches: [
      {
        file: "src/routing/patient-leaders.ts",
        find: "throw noRefusal(MeridianError.from(thrown));",
        replace: "throw thrown;",
      },
    ],
  },
  {
    name: "cursor-before-handler",
    what: "The cursor moves before the handler has returned (G4).",
    patches: [
      {
        file: "src/client/subscription.ts",
        find: "      if (!(await handler.handle(this.#messageOf(item), signal))) return;\n      this.#handled(item);",
        replace: "      this.#handled(item);\n      if (!(await handler.handle(this.#messageOf(item), signal))) return;",
      },
    ],
  },
  {
    name: "feed-after-catch-up",
    what: "A reader is woken only by what is committed after it caught up: it registers with the feed after its look at the head.",
    patches: [
      {
        file: "src/gateway/subscription.ts",
        find: "      const unwatch = follower.watch(() => this.#wake());\n",
        replace:
          "      let unwatch = () => {};\n      this.#gateway.clock.after(500, () => {\n        unwatch = follower.watch(() => this.#wake());\n      });\n",
      },
    ],
  },
  {
    name: "page-without-chain",
    what: "A page is shown as it was read, whether its batches follow each other up to a watermark or not (R5).",
    patches: [
      {
        file: "src/log/reader.ts",
        find: "const batches = this.#chain.from(seq, known.seq) ?? (from === seq ? await this.#lookBack(level) : undefined);",
        replace:
          "const read = rows.map((row) => this.#open(row, level)).filter((batch) => batch !== undefined && batch.lastSeq >= seq);\n      const batches = read.length > 0 ? (read as Batch[]) : from === seq ? await this.#lookBack(level) : undefined;",
      },
    ],
  },
];
