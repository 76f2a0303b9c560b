/** Where epochs come from (§5). */
import type { Mutant } from "./mutant.ts";

export const EPOCHS: readonly Mutant[] = [
  {
    name: "mark-compared-after-writing",
    what: "The epoch mark is written first, and then compared with what is read (§5).",
    patches: [
      {
        file: "src/membership/preparation.ts",
        find: "    try {\n      const mark = markRead ??",
        replace:
          '    try {\n      await this.#bounded("raising the epoch mark", store.raiseEpochMark(claim.shard, epoch));\n      const mark = markRead ?? -1n +',
      },
    ],
  },
  {
    name: "mark-not-compared",
    what: "The epoch mark is not compared (§5).",
    patches: [
      { file: "src/membership/preparation.ts", find: "      if (epoch > mark) {", replace: "      if (epoch > mark || true) {" },
    ],
  },
  {
    name: "epoch-from-create-revision",
    what: "The epoch is derived from when the shard key was created, not from its last change (§5).",
    patches: [
      {
        file: "src/membership/shards.ts",
        find: "    this.#news.set(key, news);\n",
        replace:
          "    const was = this.#news.get(key) as (ShardNews & { created?: number }) | undefined;\n    const created = was?.owner === undefined ? news.age : (was.created ?? was.age);\n    this.#news.set(key, Object.assign(news, { created }));\n",
      },
      {
        file: "src/membership/shards.ts",
        find: "modRevision: news.age });",
        replace: "modRevision: news.age });\n    Object.assign(claim, { created });",
      },
      {
        file: "src/membership/claim.ts",
        find: "Math.max(this.modRevision, homeModRevision)",
        replace: "Math.max((this as { created?: number }).created ?? this.modRevision, homeModRevision)",
      },
    ],
  },
  {
    name: "epoch-from-shard-key-alone",
    what: "The home key's revision does not count in the epoch.",
    patches: [
      { file: "src/membership/claim.ts", find: "Math.max(this.modRevision, homeModRevision)", replace: "this.modRevision" },
    ],
  },
  {
    name: "homes-forgotten-and-still-listed",
    what: "A node that drops its cache of home keys keeps the age of the listing. A real bug, found by seed 2000791134.",
    patches: [
      {
        file: "src/membership/homes.ts",
        find: "if (!homes.kept) this.#shards.delete(key);",
        replace: "if (!homes.kept) homes.news.clear();",
      },
    ],
  },
  {
    name: "homes-listed-before-claim",
    what: "The home keys are listed as they were before the claim.",
    patches: [
      {
        file: "src/membership/preparation.ts",
        find: "guard: claim.guard });",
        replace: "guard: claim.guard, revision: this.#options.viewedAt() });",
      },
    ],
  },
  {
    name: "home-key-deleted-on-the-way-back",
    what: "A move to the default home deletes the home key.",
    patches: [
      {
        file: "src/membership/home-key.ts",
        find: "      puts: [{ key, value }],",
        replace: "      ...(home === this.#default && home !== claim.region ? { deletes: [key] } : { puts: [{ key, value }] }),",
      },
    ],
  },
  {
    name: "home-key-not-read",
    what: "An epoch is derived from a home key that only the watch told of.",
    patches: [
      {
        file: "src/membership/home-key.ts",
        find: "if (news !== undefined && claim.confirmed.get(this.conversation) === news.age) return true;",
        replace: "if (news !== undefined) return true;",
      },
    ],
  },
  {
    name: "watch-cursor-from-header",
    what: "The watch goes on from the header's revision, not from the last event's.",
    patches: [
      {
        file: "src/membership/watch.ts",
        find: 'this.#cursor = event.type === "put" ? event.kv.modRevision : event.modRevision;',
        replace: "this.#cursor = header.revision + 1;",
      },
    ],
  },
  {
    name: "compacted-changes-skipped",
    what: "A node lists only once: a watch whose changes were compacted goes on with the next revision that is left.",
    patches: [
      { file: "src/membership/membership.ts", find: "        await this.#watch.refresh();\n", replace: "" },
      {
        file: "src/membership/watch.ts",
        find: 'if (code !== "UNAVAILABLE") this.#cursor = undefined;',
        replace: 'if (code !== "UNAVAILABLE" && this.#cursor !== undefined) this.#cursor += 1;',
      },
    ],
  },
];
