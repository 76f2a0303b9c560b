/**
 * The log store as one process meets it, with Cassandra's habits. Every replica is asked by itself, so a write may be on
 * none of them, on one, on a quorum that does not answer in time, or on one *minutes later* (a hint); a read takes the first
 * answers that come, each time of other replicas; a local one takes what its region has, however old. "committed" is
 * said when a quorum has the write on disk; everything else is "unknown", and the writes go on landing.
 */
import { MeridianError } from "../src/kernel/errors.ts";
import type {
  CursorKey,
  CursorPosition,
  LogStore,
  Page,
  ReadLevel,
  ReadOptions,
  Row,
  StoredCheckpoint,
} from "../src/ports/log-store.ts";
import type { VirtualClock } from "./clock.ts";
import { type Links, regionOf } from "./links.ts";
import type { Copies, Moment, Process } from "./process.ts";
import type { SeededRandom } from "./random.ts";
import { type Cell, isAfter, isHigher, type Replica, type Undo } from "./replica.ts";

/** Out of 100 of a write's copies: what becomes of them. */
export interface Trouble {
  /** Never applied. */
  readonly lost: number;
  /** Applied, but nobody hears of it. */
  readonly unheard: number;
  /** Applied some time later, as a hint. */
  readonly late: number;
}

/** What all processes share. */
export interface Store {
  readonly replicas: readonly Replica[];
  readonly clock: VirtualClock;
  readonly links: Links;
  readonly random: SeededRandom;
  trouble: Trouble;
  /** How far the store's clock is off. */
  skewMs: number;
  /** The longest a hint waits. */
  readonly hintMs: number;
  /** Out of 100 writes that missed a replica which was away: how many are remembered for it. */
  readonly hinted: number;
  /** Sees every row before it is written. Throws when it must not be. */
  readonly seen: (row: Row) => void;
}

const ANSWER_MS = 2_000;
const HINT_AGAIN_MS = 4_000;
const EMPTY = new Uint8Array();

export class SimLogStore implements LogStore {
  readonly #store: Store;
  readonly #process: Process;

  constructor(store: Store, process: Process) {
    this.#store = store;
    this.#process = process;
  }

  append(row: Row): Promise<"committed" | "unknown"> {
    const subject = `${row.conversation}#${row.firstSeq}`;
    return this.#sent("append", subject, () => {
      this.#store.seen(row);
      return this.#write(subject, (replica) => replica.writeRow(row), this.#process.copies.take("row", subject));
    });
  }

  async read(conversation: string, fromSeq: number, { level, limitBytes }: ReadOptions): Promise<Page> {
    const merge = (answers: readonly (readonly Row[])[]) => mergeRows(answers);
    const ask = (from: number) =>
      this.#read(`${conversation}#${from}`, level, (replica) => replica.rows(conversation, from), merge);
    const rows = await ask(fromSeq);
    const { random } = this.#store;
    // A driver fetches a long answer in parts, and the next part may come of other replicas.
    if (rows.length > 1 && random.chance(1, 8)) {
      const cut = (rows[random.below(rows.length)] as Row).firstSeq;
      const rest = await ask(cut + 1);
      return page([...rows.filter(({ firstSeq }) => firstSeq <= cut), ...rest], limitBytes);
    }
    return page(rows, limitBytes);
  }

  saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed" | "unknown"> {
    const cell = this.#cell(epoch, seq, bytes);
    const key = `checkpoint ${conversation}`;
    return this.#sent("checkpoint", key, () =>
      this.#write(key, (replica) => replica.writeCell(key, cell), this.#process.copies.take("checkpoint", key)),
    );
  }

  async loadCheckpoint(conversation: string): Promise<StoredCheckpoint | undefined> {
    const cell = await this.#readCell(`checkpoint ${conversation}`);
    return cell && { epoch: cell.stamp[0], seq: cell.stamp[1], bytes: cell.bytes };
  }

  async saveCursor({ conversation, consumer }: CursorKey, { generation, seq }: CursorPosition): Promise<void> {
    await this.#raise(`cursor ${conversation} ${consumer}`, this.#cell(BigInt(generation), seq));
  }

  async loadCursor({ conversation, consumer }: CursorKey): Promise<CursorPosition | undefined> {
    const cell = await this.#readCell(`cursor ${conversation} ${consumer}`);
    return cell && { generation: Number(cell.stamp[0]), seq: cell.stamp[1] };
  }

  async loadEpochMark(shard: number): Promise<bigint> {
    return (await this.#readCell(`mark ${shard}`))?.stamp[0] ?? 0n;
  }

  raiseEpochMark(shard: number, epoch: bigint): Promise<void> {
    return this.#raise(`mark ${shard}`, this.#cell(epoch, 0));
  }

  #cell(high: bigint, low: number, bytes: Uint8Array = EMPTY): Cell {
    const { clock, skewMs } = this.#store;
    return { stamp: [high, low], bytes, writtenAtMs: clock.monotonicMs() + skewMs };
  }

  async #raise(key: string, cell: Cell): Promise<void> {
    const outcome = await this.#write(key, (replica) => replica.writeCell(key, cell));
    if (outcome === "unknown") throw new MeridianError("UNAVAILABLE", `whether ${key} was written is unknown`);
  }

  #readCell(key: string): Promise<Cell | undefined> {
    const merge = (cells: readonly (Cell | undefined)[]) =>
      cells.reduce((best, cell) => (cell !== undefined && (best === undefined || isHigher(cell, best)) ? cell : best), undefined);
    return this.#read(key, "quorum", (replica) => replica.cell(key), merge);
  }

  /** The request leaves the process unless that is stopped just now. */
  #sent<T>(moment: Moment, subject: string, send: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#process.leave(moment, subject, () => {
        send().then(resolve, reject);
      });
    });
  }

  #write(subject: string, apply: (replica: Replica) => Undo, only?: Copies): Promise<"committed" | "unknown"> {
    const { replicas, clock } = this.#store;
    return new Promise((resolve) => {
      let onDisk = 0;
      const end = (outcome: "committed" | "unknown") => this.#process.answer("append answer", subject, () => resolve(outcome));
      const forget = clock.after(ANSWER_MS, () => end("unknown"));
      for (const replica of replicas) {
        if (only !== undefined && !only.reach.includes(replica.place)) {
          if (only.lateMs > 0) this.#hint(replica, apply, only.lateMs);
          continue;
        }
        this.#copy(replica, apply, () => {
          onDisk += 1;
          if (onDisk !== quorumOf(replicas)) return;
          forget();
          end("committed");
        });
      }
    });
  }

  /** One replica's copy of a write, with what may become of it. */
  #copy(replica: Replica, apply: (replica: Replica) => Undo, confirmed: () => void): void {
    const { clock, links, random, trouble } = this.#store;
    const { place } = this.#process;
    const fate = random.below(100);
    if (fate < trouble.lost) return;
    if (fate < trouble.lost + trouble.late) return this.#hint(replica, apply);
    const isHeard = fate >= trouble.lost + trouble.late + trouble.unheard;
    clock.after(links.delayMs(place, replica.place), () => {
      if (!replica.up || !links.open(place, replica.place)) return this.#missed(replica, apply);
      const undo = apply(replica);
      const { powerCycles } = replica;
      clock.after(1 + random.below(4), () => {
        if (replica.powerCycles !== powerCycles) return;
        replica.synced(undo);
        if (!isHeard) return;
        clock.after(links.delayMs(replica.place, place), () => {
          if (links.open(replica.place, place)) confirmed();
        });
      });
    });
  }

  #missed(replica: Replica, apply: (replica: Replica) => Undo): void {
    if (this.#store.random.below(100) < this.#store.hinted) this.#hint(replica, apply);
  }

  #hint(replica: Replica, apply: (replica: Replica) => Undo, afterMs?: number): void {
    const { clock, random, hintMs } = this.#store;
    const land = () => {
      if (replica.up) replica.synced(apply(replica));
      else clock.after(HINT_AGAIN_MS, land);
    };
    clock.after(afterMs ?? 1 + random.below(random.chance(1, 2) ? 1_500 : hintMs), land);
  }

  #read<A, T>(subject: string, level: ReadLevel, ask: (replica: Replica) => A, merge: (answers: readonly A[]) => T): Promise<T> {
    const { replicas, clock, links } = this.#store;
    const { place } = this.#process;
    const asked = level === "local" ? this.#nearOnes() : replicas;
    const wanted = level === "local" ? 1 : level === "quorum" ? quorumOf(replicas) : replicas.length;
    return new Promise((resolve, reject) => {
      const answers: A[] = [];
      const forget = clock.after(ANSWER_MS, () => {
        const told = new MeridianError("UNAVAILABLE", `${answers.length} of ${wanted} replicas answered within ${ANSWER_MS} ms`);
        this.#process.enter(() => reject(told));
      });
      for (const replica of asked) {
        clock.after(links.delayMs(place, replica.place), () => {
          if (!replica.up || !links.open(place, replica.place)) return;
          const answer = ask(replica);
          clock.after(links.delayMs(replica.place, place), () => {
            if (answers.length >= wanted || !links.open(replica.place, place)) return;
            answers.push(answer);
            if (answers.length < wanted) return;
            forget();
            this.#process.answer("read answer", subject, () => resolve(merge(answers)));
          });
        });
      }
    });
  }

  #nearOnes(): readonly Replica[] {
    return this.#store.replicas.filter((replica) => regionOf(replica.place) === regionOf(this.#process.place));
  }
}

function quorumOf(replicas: readonly unknown[]): number {
  return Math.floor(replicas.length / 2) + 1;
}

function mergeRows(answers: readonly (readonly Row[])[]): readonly Row[] {
  const merged = new Map<string, Row>();
  for (const row of answers.flat()) merged.set(`${row.firstSeq} ${row.epoch}`, row);
  return [...merged.values()].sort((a, b) => (isAfter(a, b) ? 1 : -1));
}

/** Cut after `limitBytes`, but never inside a firstSeq. */
function page(rows: readonly Row[], limitBytes: number): Page {
  let bytes = 0;
  let end = 0;
  for (; end < rows.length; end += 1) {
    const isNewSeq = rows[end]?.firstSeq !== rows[end - 1]?.firstSeq;
    if (isNewSeq && end > 0 && bytes >= limitBytes) return { rows: rows.slice(0, end), more: true };
    bytes += (rows[end] as Row).bytes.length;
  }
  return { rows, more: false };
}
