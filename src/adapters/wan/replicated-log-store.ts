/**
 * The log as a node in one region has it, over one replica in each region: what Cassandra's QUORUM is in a cluster, for the
 * regions of one machine (R3, R10).
 *
 * A write goes to all replicas together and is committed once a majority has it on the disk. Two majorities always share a
 * replica, so a read that asks a majority after that finds it. Nothing is promised about the others: a replica that was
 * slow or cut off lacks rows until the healer brings them, which is what `local` reads must live with anyway.
 * A write that fails at a majority is not undone: some replica may hold it, and it may surface in any later read. That is
 * the store that recovery is made for; undoing would need the replicas that did not answer.
 */
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../ports/clock.ts";
import type { CursorKey, CursorPosition, LogStore, Page, ReadOptions, Row, StoredCheckpoint } from "../../ports/log-store.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { type Ask, gather } from "./gather.ts";
import type { Links } from "./links.ts";
import { mergePages } from "./pages.ts";

export interface ReplicatedLogStoreOptions {
  /** Where the node stands that uses this object. */
  readonly region: string;
  /** One for each region. */
  readonly replicas: ReadonlyMap<string, LogStore>;
  readonly links: Links;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** This region's replica lacks a write that another one has: it is to be healed. */
  readonly missed: (region: string) => void;
  /** A batch is on this region's disk, so many milliseconds after it was handed in. */
  readonly stored: (region: string, afterMs: number) => void;
}

export class ReplicatedLogStore implements LogStore {
  readonly #options: ReplicatedLogStoreOptions;
  readonly #majority: number;
  /** How long a call may take: beyond the way to the farthest replica and back. */
  readonly #withinMs: number;

  constructor(options: ReplicatedLogStoreOptions) {
    const { replicas, links, region } = options;
    this.#options = options;
    this.#majority = Math.floor(replicas.size / 2) + 1;
    this.#withinMs = LIMITS.wanAnswerMs + 2 * Math.max(...[...replicas.keys()].map((other) => links.oneWayMs(region, other)));
  }

  append(row: Row): Promise<"committed" | "unknown"> {
    const { clock, stored } = this.#options;
    const startMs = clock.monotonicMs();
    const append = async (replica: LogStore, region: string) => {
      committed(await replica.append(row));
      stored(region, clock.monotonicMs() - startMs);
    };
    return this.#settle(this.#write("appending a batch", append));
  }

  async read(conversation: string, fromSeq: number, options: ReadOptions): Promise<Page> {
    const { level } = options;
    const ask = (replica: LogStore) => replica.read(conversation, fromSeq, options);
    if (level === "local") return this.#ask(this.#options.region, ask);
    const pages = await this.#read(
      `reading the log at ${level}`,
      level === "all" ? this.#options.replicas.size : this.#majority,
      ask,
    );
    const { page, differing } = mergePages(pages, options.limitBytes);
    for (const { firstSeq, epoch } of differing) {
      this.#options.telemetry.count("wan.rows-differing");
      this.#options.telemetry.log("error", "wan.rows-differing", { conversation, firstSeq, epoch });
    }
    return page;
  }

  saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed" | "unknown"> {
    const save = async (replica: LogStore) => committed(await replica.saveCheckpoint(conversation, epoch, seq, bytes));
    return this.#settle(this.#write("saving a checkpoint", save));
  }

  async loadCheckpoint(conversation: string): Promise<StoredCheckpoint | undefined> {
    const found = await this.#read("loading a checkpoint", this.#majority, (replica) => replica.loadCheckpoint(conversation));
    return highest(found, (a, b) => (a.epoch === b.epoch ? a.seq > b.seq : a.epoch > b.epoch));
  }

  saveCursor(cursor: CursorKey, position: CursorPosition): Promise<void> {
    return this.#write("saving a cursor", (replica) => replica.saveCursor(cursor, position));
  }

  async loadCursor(cursor: CursorKey): Promise<CursorPosition | undefined> {
    const found = await this.#read("loading a cursor", this.#majority, (replica) => replica.loadCursor(cursor));
    return highest(found, (a, b) => (a.generation === b.generation ? a.seq > b.seq : a.generation > b.generation));
  }

  async loadEpochMark(shard: number): Promise<bigint> {
    const found = await this.#read("loading an epoch mark", this.#majority, (replica) => replica.loadEpochMark(shard));
    return highest(found, (a, b) => a > b) ?? 0n;
  }

  raiseEpochMark(shard: number, epoch: bigint): Promise<void> {
    return this.#write("raising an epoch mark", (replica) => replica.raiseEpochMark(shard, epoch));
  }

  /** The answers of the first replicas that give one. */
  #read<T>(what: string, needed: number, call: (replica: LogStore) => Promise<T>): Promise<readonly T[]> {
    return gather({ what, asks: this.#askAll(call), needed, timers: this.#options.clock, withinMs: this.#withinMs });
  }

  async #write(what: string, call: (replica: LogStore, region: string) => Promise<void>): Promise<void> {
    const asks = this.#askAll(call);
    const settled = (failed: readonly string[]) => {
      // What no replica is known to have is the caller's to repeat.
      if (failed.length === asks.length) return;
      for (const region of failed) {
        this.#options.telemetry.count("wan.missed-writes");
        this.#options.missed(region);
      }
    };
    await gather({ what, asks, needed: this.#majority, timers: this.#options.clock, withinMs: this.#withinMs, settled });
  }

  #askAll<T>(call: (replica: LogStore, region: string) => Promise<T>): Ask<T>[] {
    return [...this.#options.replicas.keys()].map((region) => ({ region, answer: this.#ask(region, call) }));
  }

  async #ask<T>(region: string, call: (replica: LogStore, region: string) => Promise<T>): Promise<T> {
    const { replicas, links, telemetry } = this.#options;
    const replica = replicas.get(region);
    if (replica === undefined) throw new MeridianError("INTERNAL", `there is no replica in ${region}`);
    try {
      const back = await links.roundTrip(this.#options.region, region, () => call(replica, region));
      if (back !== "cut") return back.answer;
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      if (error.code !== "UNAVAILABLE")
        telemetry.log("error", "wan.replica-failed", { region, code: error.code, error: error.message });
      throw error;
    }
    throw new MeridianError("UNAVAILABLE", `${region} is cut off from ${this.#options.region}`);
  }

  async #settle(write: Promise<void>): Promise<"committed" | "unknown"> {
    try {
      await write;
      return "committed";
    } catch (thrown) {
      this.#options.telemetry.count("wan.writes-unknown");
      this.#options.telemetry.log("debug", "wan.write-unknown", { error: MeridianError.from(thrown).message });
      return "unknown";
    }
  }
}

function committed(outcome: "committed" | "unknown"): void {
  if (outcome === "unknown") throw new MeridianError("UNAVAILABLE", "the replica does not know whether it was written");
}

function highest<T>(found: readonly (T | undefined)[], isAbove: (a: T, b: T) => boolean): T | undefined {
  return found.reduce((best, one) => (one !== undefined && (best === undefined || isAbove(one, best)) ? one : best), undefined);
}
