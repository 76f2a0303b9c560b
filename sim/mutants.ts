import type { Patch } from "./patch.ts";

/** A seeded bug: the simulator must find it, or its checks are worth little. */
export interface Mutant {
  readonly name: string;
  /** What is broken, in a sentence. */
  readonly what: string;
  readonly patches: readonly Patch[];
}

/** Each is a rule left out, or a short cut that design and models name. See docs/simulation.md for how soon each is found. */
export const MUTANTS: readonly Mutant[] = [
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
    name: "older-news-believed",
    what: "Older news of a shard key replaces newer.",
    patches: [
      {
        file: "src/membership/shards.ts",
        find: "    if (news.age <= (this.#news.get(key)?.age ?? 0)) return;\n",
        replace: "    if (news.age === this.#news.get(key)?.age) return;\n",
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
  {
    name: "let-go-leader-moves",
    what: "A leader object that was let go still sends its transactions.",
    patches: [
      {
        file: "src/membership/tenure.ts",
        find: 'return this.#state !== "released" && this.claim.open;',
        replace: "return this.claim.open;",
      },
      {
        file: "src/membership/tenure.ts",
        find: '    if (this.#state === "released") return undefined;\n    this.#state = "shut";',
        replace: '    this.#state = "shut";',
      },
      {
        file: "src/membership/tenure.ts",
        find: '    if (!this.look()) return { kind: "lost" };',
        replace: '    if (!this.claim.open) return { kind: "lost" };',
      },
    ],
  },
  {
    name: "checkpoint-by-clock",
    what: "The checkpoint that comes last wins, not the one with the highest epoch and seq (R10).",
    patches: [
      {
        file: "sim/replica.ts",
        find: "if (before !== undefined && !isHigher(cell, before)) return",
        replace: 'if (before !== undefined && !key.startsWith("checkpoint") && !isHigher(cell, before)) return',
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
    name: "epoch-from-shard-key-alone",
    what: "The home key's revision does not count in the epoch.",
    patches: [
      { file: "src/membership/claim.ts", find: "Math.max(this.modRevision, homeModRevision)", replace: "this.modRevision" },
    ],
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
  {
    name: "lease-on-wall-clock-alone",
    what: "The lease's deadline is looked at on the wall clock alone.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "clock.monotonicMs() < this.#deadline.monotonicMs && clock.wallMs()",
        replace: "clock.wallMs()",
      },
      {
        file: "src/membership/lease.ts",
        find: "return Math.min(this.#deadline.monotonicMs - monotonicMs, this.#deadline.wallMs - wallMs);",
        replace: "return monotonicMs >= 0 ? this.#deadline.wallMs - wallMs : 0;",
      },
    ],
  },
  {
    name: "lease-on-monotonic-clock-alone",
    what: "The lease's deadline is looked at on the monotonic clock alone.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "if (clock.monotonicMs() < this.#deadline.monotonicMs && clock.wallMs() < this.#deadline.wallMs) return true;",
        replace: "if (clock.monotonicMs() < this.#deadline.monotonicMs) return true;",
      },
      {
        file: "src/membership/lease.ts",
        find: "return Math.min(this.#deadline.monotonicMs - monotonicMs, this.#deadline.wallMs - wallMs);",
        replace: "return wallMs >= 0 ? this.#deadline.monotonicMs - monotonicMs : 0;",
      },
    ],
  },
  {
    name: "lease-without-margin",
    what: "The deadline is the lease's TTL, without the margin.",
    patches: [
      { file: "src/membership/lease.ts", find: "Math.min(ttlMs, answeredMs) - marginMs", replace: "Math.min(ttlMs, answeredMs)" },
    ],
  },
  {
    name: "lease-from-receipt",
    what: "The deadline counts from when the answer came.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "this.#deadline = deadlineOf(this.#options, sent, answer.ttlMs);",
        replace: "this.#deadline = deadlineOf(this.#options, now(this.#options.clock), answer.ttlMs);",
      },
    ],
  },
  {
    name: "late-renewal",
    what: "A renewal that is answered after the deadline brings the lease back.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "    if (!this.alive()) return;\n    this.#deadline",
        replace: "    this.#deadline",
      },
      { file: "src/membership/lease.ts", find: "calls.renew(this.id, this.leftMs())", replace: "calls.renew(this.id, 9_999)" },
      {
        file: "src/membership/lease.ts",
        find: "{ ranges: [{ key: keys.placement }] }, this.leftMs())",
        replace: "{ ranges: [{ key: keys.placement }] })",
      },
      {
        file: "src/membership/lease.ts",
        find: "    this.#deadline = undefined;\n    return false;",
        replace: "    return false;",
      },
    ],
  },
  {
    name: "deposed-answer-accepted",
    what: "A renewal that a deposed leader of the coordinator answered counts.",
    patches: [
      {
        file: "src/membership/lease.ts",
        find: "if (read.header.term !== answer.header.term) {",
        replace: "if (read.header.term < 0) {",
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
      { file: "src/sequencer/leader.ts", find: "client: this.#pending.aboveId(LIMITS.batchMessages) }", replace: "client: 0n }" },
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
];
