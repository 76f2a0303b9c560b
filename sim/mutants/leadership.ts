/** Who leads (§5): claims, transfers and moves. */
import type { Mutant } from "./mutant.ts";

export const LEADERSHIP: readonly Mutant[] = [
  {
    name: "move-guarded-by-shard-key",
    what: "A move is guarded by the shard key alone.",
    patches: [
      {
        file: "src/membership/home-key.ts",
        find: "guards: [claim.guard, { key, modRevision: homeModRevision }],",
        replace: "guards: [claim.guard],",
      },
    ],
  },
  {
    name: "move-guarded-by-home-key",
    what: "A move is guarded by the home key alone.",
    patches: [
      {
        file: "src/membership/home-key.ts",
        find: "guards: [claim.guard, { key, modRevision: homeModRevision }],",
        replace: "guards: [{ key, modRevision: homeModRevision }],",
      },
    ],
  },
  {
    name: "transfer-resumed",
    what: "After a transfer of unknown outcome the owner goes on under its old claim.",
    patches: [
      {
        file: "src/membership/handover.ts",
        find: '        if (outcome === "unknown") await this.#settle(claim);\n        if (outcome !== "not-applied") return false;',
        replace: '        if (outcome === "refused") return false;',
      },
    ],
  },
  {
    name: "transfer-unguarded",
    what: "A transfer is not guarded by the claim.",
    patches: [{ file: "src/membership/shard-key.ts", find: "{ guards: [claim.guard], puts }", replace: "{ puts }" }],
  },
  {
    name: "transfer-not-sealed",
    what: "Acknowledgements go on after a transfer was sent.",
    patches: [
      {
        file: "src/membership/handover.ts",
        find: "        claim.handedOver = true;\n        const outcome",
        replace: "        const outcome",
      },
      {
        file: "src/sequencer/conversations.ts",
        find: 'mine.map((slot) => slot.kind === "open" && this.#putAside(slot))',
        replace: "mine.slice(mine.length)",
      },
    ],
  },
  {
    name: "self-put-unguarded",
    what: "The home key is put to itself without the move's guards.",
    patches: [
      {
        file: "src/membership/home-key.ts",
        find: "guards: [claim.guard, { key, modRevision: homeModRevision }],",
        replace: "guards: home === claim.region ? [] : [claim.guard, { key, modRevision: homeModRevision }],",
      },
    ],
  },
  {
    name: "ack-after-move-sent",
    what: "What was in flight is acknowledged after the move was sent.",
    patches: [
      {
        file: "src/sequencer/conversations.ts",
        find: '      if (!(await this.#drain(leader))) return { kind: "not sent: it could not be drained" } as const;\n      await leader.saveHead();\n',
        replace: "",
      },
      {
        file: "src/membership/tenure.ts",
        find: '    if (!this.look()) return { kind: "lost" };\n    this.#state = "shut";',
        replace: '    if (!this.look()) return { kind: "lost" };',
      },
    ],
  },
  {
    name: "let-go-leader-moves",
    what: "A leader is let go once it is drained, and sends its move all the same, after it has read the home key again (§5).",
    patches: [
      {
        file: "src/membership/tenure.ts",
        find: '    if (!this.look()) return { kind: "lost" };\n    this.#state = "shut";',
        replace: '    await this.#homeKey.confirm();\n    if (!this.claim.open) return { kind: "lost" };',
      },
      {
        file: "src/sequencer/conversations.ts",
        find: "      await leader.saveHead();\n",
        replace:
          "      await leader.saveHead();\n      this.#ledger.strike(leader.tenure);\n      leader.letGo(lostError(conversation));\n      this.#forget(leader);\n",
      },
    ],
  },
  {
    name: "older-news-believed",
    what: "Older news of a shard key replaces newer.",
    patches: [
      {
        file: "src/membership/shards.ts",
        find: "    if (news.age <= (former?.age ?? 0)) return;\n",
        replace: "    if (news.age === former?.age) return;\n",
      },
    ],
  },
  {
    name: "ownership-by-node-name",
    what: "A shard key that holds this node's address is taken for its claim, whatever the lease (§5).",
    patches: [
      {
        file: "src/membership/shards.ts",
        find: "news.owner.lease === session?.lease.id",
        replace: "news.owner.address === (this.#options as unknown as { address: string }).address",
      },
      {
        file: "src/membership/membership.ts",
        find: "      count: options.shards,\n",
        replace: "      count: options.shards,\n      address,\n",
      },
    ],
  },
];
