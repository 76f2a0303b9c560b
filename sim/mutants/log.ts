/** The log and its leader (R3 to R10). */
import type { Mutant } from "./mutant.ts";

export const LOG: readonly Mutant[] = [
  {
    name: "no-look-before-ack",
    what: "A commit is acknowledged without a look at the lease's deadline and the claim (R4).",
    patches: [
      {
        file: "src/sequencer/pipeline.ts",
        find: "      if (!this.#options.tenure.look()) return this.#lose();\n      this.#slots.shift();",
        replace: "      this.#slots.shift();",
      },
    ],
  },
  {
    name: "no-look-after-rewrite",
    what: "A leader serves after it has written the tail again, without a look (R7).",
    patches: [
      {
        file: "src/sequencer/opening.ts",
        find: "      await this.#writeAgain(tenure, tail);\n      if (!mayGoOn(tenure)) throw superseded(tenure);",
        replace: "      await this.#writeAgain(tenure, tail);",
      },
      {
        file: "src/sequencer/conversations.ts",
        find: "    if (!tenure.look()) {\n      leader.letGo",
        replace: "    if (tenure === undefined) {\n      leader.letGo",
      },
    ],
  },
  {
    name: "recovery-from-one-replica",
    what: "Recovery reads the replica near by (R6).",
    patches: [{ file: "src/sequencer/recovery.ts", find: 'await walk.run("quorum");', replace: 'await walk.run("local");' }],
  },
  {
    name: "rewrite-under-old-epoch",
    what: "The tail is written again under the epochs that it had (R7).",
    patches: [
      {
        file: "src/sequencer/recovery.ts",
        find: "const batch = decodeBatch(conversation, bytes);",
        replace: "const batch = Object.assign(decodeBatch(conversation, bytes), { had: epoch });",
      },
      {
        file: "src/sequencer/pipeline.ts",
        find: "epoch: tenure.epoch, firstSeq: batch.firstSeq",
        replace: "epoch: (batch as { had?: bigint }).had ?? tenure.epoch, firstSeq: batch.firstSeq",
      },
    ],
  },
  {
    name: "stop-where-epoch-falls",
    what: "Recovery stops at a row whose epoch is lower than that of the row before (R6).",
    patches: [
      {
        file: "src/sequencer/recovery.ts",
        find: "return chained.sort((a, b) => (a.epoch > b.epoch ? -1 : 1))[0]?.batch;",
        replace:
          "const best = chained.sort((a, b) => (a.epoch > b.epoch ? -1 : 1))[0];\n    if (best !== undefined && best.epoch < (this.fallen ?? 0n)) return undefined;\n    this.fallen = best?.epoch ?? this.fallen;\n    return best?.batch;",
      },
      {
        file: "src/sequencer/recovery.ts",
        find: "  dedup = new Dedup();\n",
        replace: "  dedup = new Dedup();\n  fallen: bigint | undefined;\n",
      },
    ],
  },
  {
    name: "no-rewrite",
    what: "The tail is taken as it was found (R7).",
    patches: [{ file: "src/sequencer/opening.ts", find: "      await this.#writeAgain(tenure, tail);\n", replace: "" }],
  },
  {
    name: "stop-below-watermark",
    what: "Recovery leads below a watermark that some row has told of (R6).",
    patches: [
      {
        file: "src/sequencer/recovery.ts",
        find: "return this.#told.seq > this.position.seq ? this.#told : undefined;",
        replace: "return undefined;",
      },
    ],
  },
  {
    name: "latest-row-without-chain",
    what: "Recovery takes the row of the highest epoch, whether it chains on or not (R5).",
    patches: [
      {
        file: "src/sequencer/recovery.ts",
        find: "(byFirstSeq.get(this.position.seq + 1) ?? []).filter(({ batch }) => batch.prevHash === this.position.hash)",
        replace: "[...(byFirstSeq.get(this.position.seq + 1) ?? [])]",
      },
    ],
  },
  {
    name: "ack-out-of-order",
    what: "A batch is acknowledged before those ahead of it are committed (R4).",
    patches: [
      {
        file: "src/sequencer/pipeline.ts",
        find: "    slot.written = true;\n    this.#advance();",
        replace:
          "    if (!this.#options.tenure.look()) return this.#lose();\n    this.#slots.splice(this.#slots.indexOf(slot), 1);\n    this.#options.onCommit(slot.batch);",
      },
    ],
  },
  {
    name: "refusal-without-barrier",
    what: "“Not accepted” is said before this epoch has committed a batch of its own (R9).",
    patches: [
      {
        file: "src/sequencer/verdicts.ts",
        find: "    if (this.#refusals === undefined) item.fates",
        replace: "    if (item !== undefined) item.fates",
      },
    ],
  },
  {
    name: "opened-twice",
    what: "A conversation without a live leader is opened again under the same epoch (R8).",
    patches: [
      { file: "src/sequencer/opening.ts", find: 'this.#options.ledger.inDoubt(tenure) ? "renew" : await', replace: "await" },
    ],
  },
  {
    name: "higher-checkpoint-ignored",
    what: "A checkpoint or row of a higher epoch does not stop an opening, nor does the mark (R8).",
    patches: [
      { file: "src/membership/preparation.ts", find: "      if (epoch > mark) {", replace: "      if (epoch > mark || true) {" },
      {
        file: "src/sequencer/recovery.ts",
        find: "    if (epoch >= this.#options.epoch && epoch > (this.metEpoch ?? -1n)) this.metEpoch = epoch;\n",
        replace: "",
      },
      {
        file: "src/sequencer/opening.ts",
        find: "    if (stored !== undefined && stored.epoch > tenure.epoch) return this.#meet(tenure, stored.epoch);\n",
        replace: "",
      },
    ],
  },
  {
    name: "higher-row-ignored",
    what: "Rows of higher epochs do not stop a recovery, nor does the mark (R6).",
    patches: [
      { file: "src/membership/preparation.ts", find: "      if (epoch > mark) {", replace: "      if (epoch > mark || true) {" },
      {
        file: "src/sequencer/recovery.ts",
        find: "    if (epoch >= this.#options.epoch && epoch > (this.metEpoch ?? -1n)) this.metEpoch = epoch;\n",
        replace: "",
      },
    ],
  },
  {
    name: "damaged-row-is-missing",
    what: "A recovery takes a damaged row for one that is not there (R6).",
    patches: [
      {
        file: "src/sequencer/recovery.ts",
        find: "        const batch = this.#meet(firstSeq, epoch, bytes);\n",
        replace:
          "        let batch: Batch;\n        try {\n          batch = this.#meet(firstSeq, epoch, bytes);\n        } catch {\n          continue;\n        }\n",
      },
    ],
  },
  {
    name: "checksum-ignored",
    what: "A batch is believed whatever its checksum says (R2).",
    patches: [
      {
        file: "src/log/batch.ts",
        find: "if (hashFromBytes(outer.checksum) !== checksum(hash, watermark)) throw",
        replace: "if (checksum(hash, watermark) === hash) throw",
      },
    ],
  },
];
