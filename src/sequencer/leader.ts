/**
 * The leader of one conversation: the only one that gives out its seqs, under one epoch.
 *
 * A message passes four stations here: it waits (pending); a batch is cut, in which it is judged (dedup), gets its seq and
 * id and its place in the chain; the batch goes to the log (pipeline); and once the batch and all before it are committed
 * and the look was good, its sender is told and its readers get it (publisher).
 *
 * Judging happens when the batch is cut, not when the message arrives: then dedup sees exactly what stands before the
 * message in the log, and two copies that wait together cannot both be new. Batches are cut without timers: at once while
 * nothing is on its way, else at the end of the turn, while fewer than eight are out. So one message alone is not held up,
 * and under load the batches grow by themselves.
 *
 * What is said about a message must stay true whoever leads next. "Committed" is said after the look (R4). "Refused" is
 * said only once this epoch has committed a batch of its own above what it found (R9): until then a predecessor's unseen
 * row could still be adopted at the next seq, and with it a message that was called refused.
 */
import { Publisher } from "../feed/publisher.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { type Batch, type Entry, encodeBatch, type Watermark } from "../log/batch.ts";
import { encodeCheckpoint } from "../log/checkpoint.ts";
import type { Tenure } from "../membership/tenure.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Attachment, Fate, FeedListener, SubmitRun } from "../routing/leaders.ts";
import { Checkpointer } from "./checkpointer.ts";
import type { Dedup } from "./dedup.ts";
import { Parking } from "./parking.ts";
import { type Pending, PendingQueue } from "./pending.ts";
import { Pipeline } from "./pipeline.ts";
import { Verdicts } from "./verdicts.ts";

/** Where a leader begins: the recovered or continued state of the conversation. */
export interface Opening {
  readonly head: Watermark;
  /** The id of the message at the head; 0n for an empty log. */
  readonly lastId: bigint;
  readonly dedup: Dedup;
  /** The seq of the checkpoint that this epoch has at the head; undefined if it has none. */
  readonly checkpointSeq: number | undefined;
}

/** The node's id generator: consecutive ids, larger than all that it gave out and larger than both floors. */
export interface Ids {
  block(count: number, above: { readonly log: bigint; readonly client: bigint }): IdBlock;
}

export type IdBlock =
  | { readonly kind: "block"; readonly first: bigint }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "refused"; readonly error: MeridianError };

export interface LeaderOptions {
  readonly tenure: Tenure;
  readonly opening: Opening;
  readonly store: LogStore;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /** The leadership ended by itself: its look failed. */
  readonly onGone: (leader: Leader) => void;
}

type State =
  | { readonly kind: "serving" }
  | { readonly kind: "sealed" }
  | { readonly kind: "gone"; readonly error: MeridianError };

export class Leader {
  readonly tenure: Tenure;
  readonly #options: LeaderOptions;
  readonly #publisher: Publisher;
  readonly #pipeline: Pipeline;
  readonly #checkpointer: Checkpointer;
  readonly #dedup: Dedup;
  readonly #pending = new PendingQueue();
  readonly #parking: Parking;
  readonly #verdicts: Verdicts;
  #state: State = { kind: "serving" };
  #tip: Watermark;
  #lastId: bigint;
  #turnAsked = false;
  #waitingForIds = false;
  #lastUsedMs: number;
  #drained: (() => void)[] = [];

  constructor(options: LeaderOptions) {
    const { tenure, opening, clock } = options;
    this.tenure = tenure;
    this.#options = options;
    this.#publisher = new Publisher(opening.head);
    this.#tip = opening.head;
    this.#lastId = opening.lastId;
    this.#dedup = opening.dedup;
    this.#verdicts = new Verdicts(opening.head.seq);
    this.#parking = new Parking(clock, (item, wanted) => this.#refuseGap(item, wanted));
    this.#checkpointer = new Checkpointer({ ...options, checkpointSeq: opening.checkpointSeq });
    this.#pipeline = new Pipeline({
      ...options,
      onCommit: (batch) => this.#committed(batch),
      onLost: (bug) => this.#lost(bug),
    });
    this.#lastUsedMs = clock.monotonicMs();
  }

  /** Everything up to here is committed, and said so. */
  get head(): Watermark {
    return this.#publisher.head;
  }

  get lastUsedMs(): number {
    return this.#lastUsedMs;
  }

  /** Nobody reads, nothing waits, nothing is on its way. */
  get quiet(): boolean {
    return this.#publisher.followers === 0 && this.#pending.size === 0 && this.#pipeline.size === 0;
  }

  get wroteNothing(): boolean {
    return this.#checkpointer.wroteNothing;
  }

  submit(run: SubmitRun): Promise<readonly Fate[]> {
    if (this.#state.kind === "gone") throw this.#state.error;
    if (this.#state.kind === "sealed") throw handingOver(this.tenure.conversation);
    this.#lastUsedMs = this.#options.clock.monotonicMs();
    const fates = this.#pending.push(run, this.#parking);
    if (this.#pipeline.size === 0) this.#cut();
    else this.#cutNextTurn();
    return fates.promise;
  }

  attach(listener: FeedListener): Attachment {
    if (this.#state.kind === "gone") throw this.#state.error;
    this.#lastUsedMs = this.#options.clock.monotonicMs();
    return { ...this.#publisher.attach(listener), epoch: this.tenure.epoch };
  }

  /** Takes no sends any more; what is on its way is still acknowledged. What still waits is to be sent again elsewhere. */
  seal(): void {
    if (this.#state.kind !== "serving") return;
    this.#state = { kind: "sealed" };
    this.#failWaiting(handingOver(this.tenure.conversation));
  }

  unseal(): void {
    if (this.#state.kind === "sealed") this.#state = { kind: "serving" };
  }

  /** Resolves when nothing is on its way: all is committed, or the leadership is gone. */
  drained(): Promise<void> {
    if (this.#pipeline.size === 0 || this.#state.kind === "gone") return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /**
   * Sealed and drained, writes the exact head into a checkpoint of this epoch (R8, R10). True: the conversation may be put
   * aside and continued from there under the same epoch.
   */
  async saveHead(): Promise<boolean> {
    // Without the drain the state is ahead of the head, and of a leader that was let go meanwhile it stays so for ever.
    if (this.#state.kind !== "sealed" || this.#pipeline.size > 0) return false;
    const saved = await this.#checkpointer.saveHead(this.head.seq, () => this.#checkpoint(this.head));
    return saved && this.#state.kind === "sealed" && this.#pipeline.size === 0 && this.tenure.look();
  }

  /** The object is let go: nothing more is sent, said or handed out. */
  letGo(error: MeridianError): void {
    if (this.#state.kind === "gone") return;
    this.#state = { kind: "gone", error };
    this.tenure.release();
    this.#pipeline.stop();
    this.#failWaiting(error);
    this.#verdicts.fail(error);
    this.#wakeDrained();
    this.#publisher.end(error);
  }

  #lost(bug: MeridianError | undefined): void {
    const { telemetry } = this.#options;
    const { conversation, epoch } = this.tenure;
    if (bug === undefined) telemetry.log("warn", "leader.lost", { conversation, epoch });
    else telemetry.log("error", "leader.failed", { conversation, epoch, error: bug.message, stack: bug.stack });
    this.letGo(
      new MeridianError("UNAVAILABLE", `the leadership of ${JSON.stringify(conversation)} ended before the outcome was known`, {
        retry: "elsewhere",
        ...(bug === undefined ? {} : { cause: bug }),
      }),
    );
    this.#options.onGone(this);
  }

  #cutNextTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    void this.#options.clock.nextTurn().then(() => {
      this.#turnAsked = false;
      this.#cut();
    });
  }

  #cutAfter(delayMs: number): void {
    if (this.#waitingForIds) return;
    this.#waitingForIds = true;
    this.#options.clock.after(delayMs, () => {
      this.#waitingForIds = false;
      this.#cut();
    });
  }

  /** A bug in here must end this leadership with an error, not the process, and not leave messages that wait for ever. */
  #cut(): void {
    try {
      this.#cutBatches();
    } catch (error) {
      this.#lost(MeridianError.from(error));
    }
  }

  #cutBatches(): void {
    while (this.#state.kind === "serving" && this.#pipeline.size < LIMITS.batchesInFlight) {
      if (this.#pending.size === 0 && !this.#barrierDue()) return;
      const floors = { log: this.#lastId, client: this.#clientFloor() };
      const block = this.#options.ids.block(LIMITS.batchMessages, floors);
      if (block.kind === "refused") return this.#failWaiting(block.error);
      if (block.kind === "wait") return this.#cutAfter(block.ms);
      const entries = this.#fill(block.first);
      if (entries.length > 0) this.#append(entries, block.first);
    }
  }

  /** What waits for a counter may follow it into the same batch, whose ids are given out before. */
  #clientFloor(): bigint {
    const pending = this.#pending.aboveId(LIMITS.batchMessages);
    const parked = this.#parking.aboveId;
    if (parked > pending) return parked;
    return pending;
  }

  /** R9: a refusal waits and nothing is on its way that could carry it over the barrier. */
  #barrierDue(): boolean {
    return this.#verdicts.barrierDue && this.#pipeline.size === 0;
  }

  /** Judges waiting messages until a batch is full (R1: it ends with its bucket) or nothing waits. */
  #fill(firstId: bigint): Entry[] {
    const entries: Entry[] = [];
    const firstSeq = this.#tip.seq + 1;
    const room = Math.min(LIMITS.batchMessages, LIMITS.bucketMessages - ((firstSeq - 1) % LIMITS.bucketMessages));
    let bytes = 0;
    // Not more than the floor of the ids was taken of: what needs no place in the batch would let later ones move up.
    let left = LIMITS.batchMessages;
    for (let item = this.#pending.peek(); item !== undefined && entries.length < room && left > 0; item = this.#pending.peek()) {
      left -= 1;
      bytes += item.payload.length;
      if (bytes > LIMITS.batchBytes && entries.length > 0) break;
      this.#pending.shift();
      const seq = firstSeq + entries.length;
      const id = firstId + BigInt(entries.length);
      const entry = this.#judge(item, seq, id);
      if (entry === undefined) continue;
      entries.push(entry);
      this.#dedup.enter(seq, id, entry);
      const waiting = this.#parking.release(item.producer, item.counter + 1);
      if (waiting.length > 0) this.#pending.putBack(waiting);
    }
    if (entries.length === 0 && this.#barrierDue()) {
      this.#dedup.enter(firstSeq, firstId, BARRIER);
      entries.push(BARRIER);
    }
    return entries;
  }

  /** The message's entry at this place, or undefined if it needs none. */
  #judge(item: Pending, seq: number, id: bigint): Entry | undefined {
    const verdict = this.#dedup.judge(item);
    switch (verdict.kind) {
      case "new":
        this.#verdicts.place(seq, item, { kind: item.skip ? "skipped" : "placed", seq, id });
        return entryOf(item, item.skip);
      case "repeat":
        this.#verdicts.place(verdict.seq, item, {
          kind: verdict.skipped ? "skipped" : "placed",
          seq: verdict.seq,
          id: verdict.id,
        });
        return undefined;
      case "known-key":
        this.#verdicts.place(verdict.due ? seq : verdict.seq, item, { kind: "placed", seq: verdict.seq, id: verdict.id });
        return verdict.due ? entryOf(item, true) : undefined;
      case "early":
        this.#parking.park(item, verdict.wanted);
        return undefined;
      case "refused":
        this.#refuse(item, verdict.error);
        return undefined;
    }
  }

  #refuse(item: Pending, error: MeridianError): void {
    this.#verdicts.refuse(item, error);
    if (this.#verdicts.barrierDue) this.#cutNextTurn();
  }

  #refuseGap(item: Pending, wanted: number): void {
    this.#refuse(
      item,
      new MeridianError("COUNTER_GAP", `counter ${item.counter} came before counter ${wanted}`, {
        details: { wanted: String(wanted) },
      }),
    );
  }

  #append(entries: readonly Entry[], firstId: bigint): void {
    const batch = encodeBatch({
      conversation: this.tenure.conversation,
      firstSeq: this.#tip.seq + 1,
      firstId,
      prevHash: this.#tip.hash,
      entries,
      watermark: this.head,
    });
    this.#tip = { seq: batch.lastSeq, hash: batch.hash };
    this.#lastId = firstId + BigInt(entries.length - 1);
    this.#checkpointer.appended(batch, () => this.#checkpoint(this.#tip));
    this.#pipeline.push(batch);
    this.#options.telemetry.count("leader.batches");
    this.#options.telemetry.count("leader.messages", entries.length);
  }

  #committed(batch: Batch): void {
    this.#publisher.publish(batch);
    this.#verdicts.committed(batch.lastSeq);
    this.#checkpointer.committed(batch);
    if (this.#pipeline.size === 0) this.#wakeDrained();
    if (this.#pending.size > 0) this.#cutNextTurn();
  }

  /** The state as of the last message that was given a seq; it is true once that message is committed (R10). */
  #checkpoint(watermark: Watermark): Uint8Array {
    return encodeCheckpoint({ watermark, lastId: this.#lastId, dedup: this.#dedup.snapshot() });
  }

  #failWaiting(error: MeridianError): void {
    for (const item of [...this.#pending.drain(), ...this.#parking.drain()]) item.fates.fail(error);
  }

  #wakeDrained(): void {
    const drained = this.#drained;
    this.#drained = [];
    for (const wake of drained) wake();
  }
}

const NOTHING = new Uint8Array();
const BARRIER: Entry = { producer: 0n, counter: 0n, sender: "", key: NOTHING, payload: NOTHING, void: true };

function entryOf(item: Pending, isVoid: boolean): Entry {
  return {
    producer: item.producer,
    counter: BigInt(item.counter),
    sender: item.sender,
    key: isVoid ? NOTHING : item.key,
    payload: isVoid ? NOTHING : item.payload,
    void: isVoid,
  };
}

function handingOver(conversation: string): MeridianError {
  return new MeridianError("UNAVAILABLE", `${JSON.stringify(conversation)} is being handed over to another leader`);
}
