/**
 * What the log of a conversation holds, found by its next leader (R5, R6).
 *
 * The store fences nobody: at any seq there may be rows of several epochs, some of leaders that never got a quorum, some
 * that arrived hours late. The tempting ways to choose all lose or fork: the newest row at each seq (a zombie's row may
 * chain to nothing); stopping where the epoch falls (a leader that died while it wrote the tail again leaves 10 under its
 * epoch and 11, acknowledged, under the one before); reading one replica. The rule: from the checkpoint on, at each expected
 * seq, of the rows that chain on to the one before, the one of the highest epoch; stop where none does. It is Paxos: an
 * acknowledged row stands at a quorum, this read meets that quorum, and each leader since has written the same bytes again.
 *
 * Stopping below a watermark that any row has ever carried means that acknowledged rows are missing from what was read: then
 * every replica is asked, and if that does not help, the conversation stays shut. Silence is better than a second history.
 */
import { MeridianError } from "../kernel/errors.ts";
import type { Hash } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import { type Batch, decodeBatch, EMPTY, type Watermark } from "../log/batch.ts";
import { decodeCheckpoint } from "../log/checkpoint.ts";
import type { LogStore, Page, ReadLevel, StoredCheckpoint } from "../ports/log-store.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { Dedup } from "./dedup.ts";

export interface Recovered {
  readonly head: Watermark;
  readonly lastId: bigint;
  readonly dedup: Dedup;
  /** The batches above the highest known watermark: to be written again under the new epoch before anything else (R7). */
  readonly tail: readonly Batch[];
}

/** met: a row of this epoch, not below ours, stands in the log: who leads is to be asked again (R6). */
export type RecoveryResult =
  | { readonly kind: "recovered"; readonly state: Recovered }
  | { readonly kind: "met"; readonly epoch: bigint };

export interface RecoveryOptions {
  readonly conversation: string;
  readonly epoch: bigint;
  readonly checkpoint: StoredCheckpoint | undefined;
  /** A watermark that a gateway has verified in a feed: the log must reach it. */
  readonly told: Watermark | undefined;
  readonly store: Pick<LogStore, "read">;
  readonly telemetry: Telemetry;
}

/** Throws CORRUPT, UNAVAILABLE. */
export async function recover(options: RecoveryOptions): Promise<RecoveryResult> {
  const walk = new Walk(options);
  await walk.run("quorum");
  if (walk.metEpoch === undefined && walk.stoppedBelow !== undefined) {
    options.telemetry.log("warn", "recovery.reads-all", { conversation: options.conversation, seq: walk.position.seq });
    await walk.run("all");
  }
  if (walk.metEpoch !== undefined) return { kind: "met", epoch: walk.metEpoch };
  const missing = walk.stoppedBelow;
  if (missing !== undefined) throw missingRows(options.conversation, walk.position, missing);
  return { kind: "recovered", state: { head: walk.position, lastId: walk.lastId, dedup: walk.dedup, tail: walk.tail } };
}

/** The state that a checkpoint of the leader's own epoch holds: where a conversation that was put aside goes on (R8). */
export function continueFrom(conversation: string, stored: StoredCheckpoint): Recovered {
  const { watermark, lastId, dedup } = decodeCheckpoint(conversation, stored.bytes);
  return { head: watermark, lastId, dedup: Dedup.restore(dedup, watermark.seq), tail: [] };
}

class Walk {
  readonly #options: RecoveryOptions;
  position: Watermark = EMPTY;
  lastId = 0n;
  dedup = new Dedup();
  /** The highest epoch that was met and is not below ours. */
  metEpoch: bigint | undefined;
  /** The walked batches above `#known`. */
  tail: Batch[] = [];
  /** The highest watermark that our chain has reached. */
  #known: Watermark = EMPTY;
  /** The highest watermark that any row carries. */
  #told: Watermark = EMPTY;
  /** Where the walked batches above `#known` end, and `#known` itself. */
  readonly #ends = new Map<number, Hash>([[EMPTY.seq, EMPTY.hash]]);

  constructor(options: RecoveryOptions) {
    this.#options = options;
    const { checkpoint, conversation, told } = options;
    if (told !== undefined) this.#told = told;
    if (checkpoint === undefined) return;
    const from = continueFrom(conversation, checkpoint);
    this.position = from.head;
    this.lastId = from.lastId;
    this.dedup = from.dedup;
    this.#known = from.head;
    if (from.head.seq > this.#told.seq) this.#told = from.head;
    this.#ends.clear();
    this.#ends.set(from.head.seq, from.head.hash);
  }

  /** The watermark that the chain should reach and does not. */
  get stoppedBelow(): Watermark | undefined {
    return this.#told.seq > this.position.seq ? this.#told : undefined;
  }

  async run(level: ReadLevel): Promise<void> {
    if (this.#options.checkpoint !== undefined) return this.#walk(level);
    // Asked beside the walk: most conversations without a checkpoint end in their first bucket, and a takeover waits for us.
    const [, second] = await Promise.all([this.#walk(level), this.#lookAt(1, level)]);
    if (this.metEpoch === undefined) await this.#gallop(level, second);
  }

  /** Along the chain, bucket by bucket, until one shows no next batch. */
  async #walk(level: ReadLevel): Promise<void> {
    for (;;) {
      const from = this.#bucket;
      const more = await this.#readOn(level);
      if (this.metEpoch !== undefined || (this.#bucket === from && !more)) return;
    }
  }

  /** The one that holds the expected seq. */
  get #bucket(): number {
    return Math.floor(this.position.seq / LIMITS.bucketMessages);
  }

  /** One page from the expected seq on. True: the page was cut short, there is more behind it. */
  async #readOn(level: ReadLevel): Promise<boolean> {
    const { store, conversation } = this.#options;
    let from = this.position.seq + 1;
    for (;;) {
      const page = await store.read(conversation, from, { level, limitBytes: LIMITS.pageBytes });
      const byFirstSeq = new Map<number, { batch: Batch; epoch: bigint }[]>();
      for (const { firstSeq, epoch, bytes } of page.rows) {
        const batch = this.#meet(firstSeq, epoch, bytes);
        byFirstSeq.set(firstSeq, [...(byFirstSeq.get(firstSeq) ?? []), { batch, epoch }]);
      }
      const before = this.position.seq;
      for (let next = this.#choose(byFirstSeq); next !== undefined; next = this.#choose(byFirstSeq)) this.#follow(next);
      if (this.position.seq > before || !page.more) return page.more;
      from = Math.max(from, page.rows.at(-1)?.firstSeq ?? from) + 1;
    }
  }

  /** Of the rows at the expected seq that chain on, the one of the highest epoch. */
  #choose(byFirstSeq: ReadonlyMap<number, readonly { batch: Batch; epoch: bigint }[]>): Batch | undefined {
    const chained = (byFirstSeq.get(this.position.seq + 1) ?? []).filter(({ batch }) => batch.prevHash === this.position.hash);
    return chained.sort((a, b) => (a.epoch > b.epoch ? -1 : 1))[0]?.batch;
  }

  #follow(batch: Batch): void {
    this.position = { seq: batch.lastSeq, hash: batch.hash };
    this.lastId = batch.firstId + BigInt(batch.entries.length - 1);
    this.dedup.apply(batch.firstSeq, batch.firstId, batch.entries);
    this.tail.push(batch);
    this.#ends.set(batch.lastSeq, batch.hash);
    if (this.#told.seq <= this.position.seq) this.#reach(this.#told);
    this.#reach(batch.watermark);
  }

  /** A watermark that lies on our chain: nothing up to it needs to be written again. */
  #reach(watermark: Watermark): void {
    if (watermark.seq <= this.#known.seq) return;
    if (this.#ends.get(watermark.seq) !== watermark.hash) throw forked(this.#options.conversation, watermark);
    this.#known = watermark;
    this.tail = this.tail.filter((batch) => batch.firstSeq > watermark.seq);
    for (const seq of this.#ends.keys()) if (seq < watermark.seq) this.#ends.delete(seq);
  }

  /** Every row tells something, also one that chains to nothing: its epoch, and a watermark that was true when it was written. */
  #meet(firstSeq: number, epoch: bigint, bytes: Uint8Array): Batch {
    const { conversation } = this.#options;
    const batch = decodeBatch(conversation, bytes);
    if (batch.firstSeq !== firstSeq) {
      throw new MeridianError(
        "CORRUPT",
        `a row of ${JSON.stringify(conversation)} at seq ${firstSeq} holds seq ${batch.firstSeq}`,
      );
    }
    if (epoch >= this.#options.epoch && epoch > (this.metEpoch ?? -1n)) this.metEpoch = epoch;
    const { watermark } = batch;
    if (watermark.seq > this.#told.seq) this.#told = watermark;
    else if (watermark.seq === this.#told.seq && watermark.hash !== this.#told.hash) throw forked(conversation, watermark);
    return batch;
  }

  /** Without a checkpoint nothing says how long the log is: rows in later buckets tell of a part that was not found. */
  async #gallop(level: ReadLevel, second: Page): Promise<void> {
    const bucket = this.#bucket;
    for (let step = 1; ; step *= 2) {
      const page = bucket + step === 1 ? second : await this.#lookAt(bucket + step, level);
      if (page.rows.length === 0) return;
      for (const { firstSeq, epoch, bytes } of page.rows) this.#meet(firstSeq, epoch, bytes);
    }
  }

  /** Whether a bucket holds anything. */
  #lookAt(bucket: number, level: ReadLevel): Promise<Page> {
    const { store, conversation } = this.#options;
    return store.read(conversation, bucket * LIMITS.bucketMessages + 1, { level, limitBytes: 1 });
  }
}

function forked(conversation: string, watermark: Watermark): MeridianError {
  return new MeridianError(
    "CORRUPT",
    `two histories of ${JSON.stringify(conversation)} were called committed at seq ${watermark.seq}`,
    {
      details: { conversation, seq: String(watermark.seq), hash: watermark.hash },
    },
  );
}

function missingRows(conversation: string, reached: Watermark, told: Watermark): MeridianError {
  return new MeridianError(
    "CORRUPT",
    `committed messages ${reached.seq + 1} to ${told.seq} of ${JSON.stringify(conversation)} are on no replica that answers`,
    {
      advice: "Bring the missing replicas back, or repair the store; the conversation stays shut until they are found.",
      details: { conversation, reached: String(reached.seq), told: String(told.seq) },
    },
  );
}
