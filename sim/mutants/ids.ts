/** Ids (§7). */
import type { Mutant } from "./mutant.ts";

export const IDS: readonly Mutant[] = [
  {
    name: "worker-claim-without-fence",
    what: "A worker number is claimed, and its first fence stored, without the guard of the fence that it was chosen by (§7).",
    patches: [
      {
        file: "src/ids/worker-claim.ts",
        find: "      { key: fenceKey(chosen.worker), modRevision: chosen.fence.revision },\n",
        replace: "",
      },
      {
        file: "src/ids/fence.ts",
        find: "        { key: keys.fence, modRevision: this.#revision },\n",
        replace: "        ...(this.#untilMs === undefined ? [] : [{ key: keys.fence, modRevision: this.#revision }]),\n",
      },
    ],
  },
  {
    name: "id-fence-ignored",
    what: "A fence means nothing: ids go above it, begin below it, and a number is taken whose fence lies in the future (§7).",
    patches: [
      {
        file: "src/ids/worker-claim.ts",
        find: "if (chosen.fence.untilMs >= startMsMax) {",
        replace: "if (chosen.fence.untilMs < 0) {",
      },
      { file: "src/ids/stream.ts", find: '    if (utcMs > untilMs) return { kind: "fenced", untilMs: utcMs };\n', replace: "" },
      { file: "src/ids/stream.ts", find: "Math.max(startMs, ID_EPOCH_MS)", replace: "Math.max(startMs * 0, ID_EPOCH_MS)" },
    ],
  },
  {
    name: "client-floor-ignored",
    what: "Ids do not grow above what their sender has seen (G8).",
    patches: [
      { file: "src/sequencer/leader.ts", find: "client: this.#clientFloor() }", replace: "client: 0n * this.#clientFloor() }" },
    ],
  },
  {
    name: "client-floor-unlimited",
    what: "Ids go as far into the future as a client says that it has seen (§7).",
    patches: [
      {
        file: "src/ids/generator.ts",
        find: "if (this.#layout.utcMsOf(client) <= limitMs + errorMs + LIMITS.clockErrorMs) return client;",
        replace: "if (this.#layout.utcMsOf(client) <= limitMs + errorMs + LIMITS.clockErrorMs * 1e9) return client;",
      },
      {
        file: "src/ids/generator.ts",
        find: "const answer = this.#near.take({ count, floors, nowMs, limitMs });",
        replace: "const answer = this.#near.take({ count, floors, nowMs, limitMs: limitMs + 1e12 });",
      },
      { file: "src/ids/stream.ts", find: '    if (utcMs > untilMs) return { kind: "fenced", untilMs: utcMs };\n', replace: "" },
    ],
  },
];
