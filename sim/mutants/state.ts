/** What a leader knows beside the log: checkpoints, and who has sent what (R8, R10, §6). */
import type { Mutant } from "./mutant.ts";

export const STATE: readonly Mutant[] = [
  {
    name: "checkpoint-by-clock",
    what: "The checkpoint that comes last wins, not the one with the highest epoch and seq (R10).",
    patches: [
      {
        file: "sim/replica.ts",
        find: "if (before !== undefined && !isHigher(cell, before)) return",
        replace:
          'if (before !== undefined && (key.startsWith("checkpoint") ? cell.writtenAtMs < before.writtenAtMs : !isHigher(cell, before))) return',
      },
    ],
  },
  {
    name: "own-checkpoint-means-idle",
    what: "A checkpoint of the own epoch is taken for a sign that the conversation was put aside (R8).",
    patches: [
      {
        file: "src/sequencer/opening.ts",
        find: 'this.#options.ledger.inDoubt(tenure) ? "renew" : await',
        replace:
          'this.#options.ledger.inDoubt(tenure) &&\n        (await this.#options.store.loadCheckpoint(tenure.conversation))?.epoch !== tenure.epoch\n          ? "renew"\n          : await',
      },
    ],
  },
  {
    name: "checkpoint-of-live-state",
    what: "A checkpoint holds the state when it is written, not as of its watermark (R10).",
    patches: [
      {
        file: "src/sequencer/checkpointer.ts",
        find: "{ seq: batch.lastSeq, bytes: encode() }",
        replace: "{ seq: batch.lastSeq, bytes: encode as unknown as Uint8Array }",
      },
      {
        file: "src/sequencer/checkpointer.ts",
        find: "this.#save(waiting.seq, waiting.bytes)",
        replace: "this.#save(waiting.seq, (waiting.bytes as unknown as () => Uint8Array)())",
      },
    ],
  },
  {
    name: "checkpoint-of-a-lost-leader",
    what: "A leader that was let go while it drained writes its checkpoint all the same (R10). A real bug, found by seed 1005.",
    patches: [
      {
        file: "src/sequencer/leader.ts",
        find: '    if (this.#state.kind !== "sealed" || this.#pipeline.size > 0) return false;\n',
        replace: "",
      },
    ],
  },
  {
    name: "void-beyond-the-window-forgotten",
    what: "Beyond its window dedup does not know that a producer's last counter is a void. A real bug, found by seed 1004875903.",
    patches: [{ file: "src/sequencer/dedup.ts", find: "skipped: producer.lastVoid", replace: "skipped: false" }],
  },
  {
    name: "dedup-not-rebuilt",
    what: "Recovery does not enter the rows that it walks into the dedup state (R7).",
    patches: [
      {
        file: "src/sequencer/recovery.ts",
        find: "    this.dedup.apply(batch.firstSeq, batch.firstId, batch.entries);\n",
        replace: "",
      },
    ],
  },
  {
    name: "evicted-producer-is-new",
    what: "A producer that was forgotten is taken for a new one (§6).",
    patches: [
      {
        file: "src/sequencer/dedup.ts",
        find: "if (candidate.producer <= this.#evicted) {",
        replace: "if (candidate.producer < 0n) {",
      },
    ],
  },
  {
    name: "key-window-ignored",
    what: "A keyed send is accepted although its first try may have been forgotten (§6).",
    patches: [
      {
        file: "src/sequencer/dedup.ts",
        find: "candidate.base < this.#window.firstSeq - 1",
        replace: "candidate.base < 0",
      },
    ],
  },
  {
    name: "skip-not-recorded",
    what: "A skip is answered, and leaves no void in the log (§6).",
    patches: [
      {
        file: "src/sequencer/leader.ts",
        find: "        return entryOf(item, item.skip);",
        replace: "        return item.skip ? undefined : entryOf(item, false);",
      },
    ],
  },
];
