/**
 * The log in Cassandra: as many replicas in each of three or more data centers (R3, R12).
 *
 * Cassandra resolves two writes of one cell by their timestamps, which are clock readings unless a statement says otherwise.
 * No clock decides here: batches are never written with different bytes, and what grows (checkpoints, cursors, epochs) is
 * written with its own value as the timestamp, so the greatest wins at every replica, whatever arrives last (R10, R11).
 */
import { types } from "cassandra-driver";
import { Background } from "../../kernel/background.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type {
  CursorKey,
  CursorPosition,
  LogStore,
  Page,
  ReadLevel,
  ReadOptions,
  Row,
  StoredCheckpoint,
} from "../../ports/log-store.ts";
import { Appends } from "./appends.ts";
import { Gather } from "./gather.ts";
import { type RowPosition, readPage } from "./pages.ts";
import type { CassandraSession, Execution } from "./session.ts";
import { bucketOf, qualified } from "./tables.ts";

const { localQuorum, quorum, all } = types.consistencies;

const QUORUM: Execution = { consistency: quorum };
const QUORUM_LARGE: Execution = { consistency: quorum, tryMs: LIMITS.cassandraLargeTryMs };
const APPEND: Execution = { consistency: quorum, withinMs: LIMITS.cassandraWriteMs };
const CHECKPOINT: Execution = { ...APPEND, tryMs: LIMITS.cassandraLargeTryMs };

/** LOCAL_QUORUM, not LOCAL_ONE: of several replicas in the data center it merges a majority, so fewer rows are missed. */
const READS: Readonly<Record<ReadLevel, Execution>> = {
  local: { consistency: localQuorum, reach: "local", tryMs: LIMITS.cassandraTryMs, withinMs: LIMITS.cassandraLargeTryMs },
  quorum: QUORUM_LARGE,
  all: { consistency: all, tryMs: LIMITS.cassandraLargeTryMs },
};

const STATEMENTS = {
  append: "INSERT INTO k.batches (conversation, bucket, first_seq, epoch, bytes) VALUES (?, ?, ?, ?, ?)",
  read: `SELECT first_seq, epoch, bytes FROM k.batches
    WHERE conversation = ? AND bucket = ? AND (first_seq, epoch) > (?, ?) LIMIT ?`,
  // UPDATE, for INSERT would write a second cell, the row's own.
  saveCheckpoint: "UPDATE k.checkpoints USING TIMESTAMP ? SET bytes = ? WHERE conversation = ? AND epoch = ?",
  loadCheckpoint: "SELECT epoch, bytes, WRITETIME(bytes) AS seq FROM k.checkpoints WHERE conversation = ? LIMIT 1",
  // At the present time, which is far above the seqs that the rows were written at: what arrives later stays deleted.
  cleanCheckpoints: "DELETE FROM k.checkpoints WHERE conversation = ? AND epoch < ?",
  saveCursor: "UPDATE k.cursors USING TIMESTAMP ? SET seq = ? WHERE conversation = ? AND consumer = ? AND generation = ?",
  loadCursor: "SELECT generation, seq FROM k.cursors WHERE conversation = ? AND consumer = ? LIMIT 1",
  raiseEpoch: "UPDATE k.epochs USING TIMESTAMP ? SET epoch = ? WHERE scope = 'shards' AND shard = ?",
  loadEpochs: "SELECT shard, epoch FROM k.epochs WHERE scope = 'shards'",
} as const;

export class CassandraLogStore implements LogStore {
  readonly #session: CassandraSession;
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, string>>;
  /** Epochs up to which older checkpoints were removed, by conversation. */
  readonly #cleaned = new Map<string, bigint>();
  readonly #cleaning: Background;
  readonly #appends = new Appends((rows) => this.#append(rows));
  /** A takeover is a burst of claims, and each asks for its mark and raises it. */
  readonly #marksLoaded: Gather<number, ReadonlyMap<number, bigint>>;
  readonly #marksRaised: Gather<readonly unknown[], unknown>;
  #failing = false;

  constructor(options: { readonly session: CassandraSession }) {
    this.#session = options.session;
    this.#cleaning = new Background((conversation, { message }) => {
      options.session.telemetry.log("debug", "cassandra.checkpoints-not-removed", { conversation, error: message });
    });
    const gathering = { atOnce: LIMITS.cassandraMarksAtOnce, clock: options.session.timers };
    this.#marksLoaded = new Gather({ ...gathering, send: () => this.#loadMarks() });
    this.#marksRaised = new Gather({
      ...gathering,
      send: (all) => this.#session.executeAll("raising epoch marks", this.#statements.raiseEpoch, all, QUORUM),
    });
    const own = Object.entries(STATEMENTS).map(([name, cql]) => [name, qualified(cql, options.session.keyspace)]);
    this.#statements = Object.fromEntries(own) as Record<keyof typeof STATEMENTS, string>;
  }

  append(row: Row): Promise<"committed" | "unknown"> {
    return this.#settle(this.#appends.append(row));
  }

  async read(conversation: string, fromSeq: number, { level, limitBytes }: ReadOptions): Promise<Page> {
    if (level !== "local") return this.#read(conversation, fromSeq, limitBytes, READS[level]);
    try {
      return await this.#read(conversation, fromSeq, limitBytes, READS.local);
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      this.#session.telemetry.count("cassandra.local-fallbacks");
      this.#session.telemetry.log("debug", "cassandra.local-fallback", { conversation, error: error.message });
      return this.#read(conversation, fromSeq, limitBytes, READS.quorum);
    }
  }

  async saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed" | "unknown"> {
    const params = [BigInt(seq), asBuffer(bytes), conversation, epoch];
    const outcome = await this.#settle(
      this.#session.execute("saving a checkpoint", this.#statements.saveCheckpoint, params, CHECKPOINT),
    );
    // Nobody waits for it: a conversation that is handed over stalls meanwhile.
    if (outcome === "committed") this.#cleaning.run(conversation, () => this.#clean(conversation, epoch));
    return outcome;
  }

  async loadCheckpoint(conversation: string): Promise<StoredCheckpoint | undefined> {
    const row = await this.#first("loading a checkpoint", this.#statements.loadCheckpoint, [conversation], QUORUM_LARGE);
    return row && { epoch: row.epoch, seq: Number(row.seq), bytes: row.bytes };
  }

  async saveCursor({ conversation, consumer }: CursorKey, { generation, seq }: CursorPosition): Promise<void> {
    const params = [BigInt(seq), BigInt(seq), conversation, consumer, BigInt(generation)];
    await this.#session.execute("saving a cursor", this.#statements.saveCursor, params, QUORUM);
  }

  async loadCursor({ conversation, consumer }: CursorKey): Promise<CursorPosition | undefined> {
    const row = await this.#first("loading a cursor", this.#statements.loadCursor, [conversation, consumer], QUORUM);
    return row && { generation: Number(row.generation), seq: Number(row.seq) };
  }

  async loadEpochMark(shard: number): Promise<bigint> {
    return (await this.#marksLoaded.call(shard)).get(shard) ?? 0n;
  }

  async raiseEpochMark(shard: number, epoch: bigint): Promise<void> {
    await this.#marksRaised.call([epoch, epoch, shard]);
  }

  #append(rows: readonly Row[]): Promise<unknown> {
    const all = rows.map(({ conversation, firstSeq, epoch, bytes }) => {
      return [conversation, bucketOf(firstSeq), BigInt(firstSeq), epoch, asBuffer(bytes)];
    });
    const [first] = all;
    if (first !== undefined && all.length === 1) {
      return this.#session.execute("appending a batch", this.#statements.append, first, APPEND);
    }
    return this.#session.executeAll("appending batches", this.#statements.append, all, APPEND);
  }

  async #loadMarks(): Promise<ReadonlyMap<number, bigint>> {
    const { rows } = await this.#session.execute("loading the epoch marks", this.#statements.loadEpochs, [], QUORUM);
    return new Map(rows.map(({ shard, epoch }) => [shard, epoch]));
  }

  #read(conversation: string, fromSeq: number, limitBytes: number, how: Execution): Promise<Page> {
    const what = `reading ${JSON.stringify(conversation)} from seq ${fromSeq} on`;
    return readPage(fromSeq, limitBytes, async ({ firstSeq, epoch }: RowPosition, limit: number) => {
      const params = [conversation, bucketOf(fromSeq), BigInt(firstSeq), epoch, limit];
      const { rows } = await this.#session.execute(what, this.#statements.read, params, how);
      return rows.map((row) => ({
        conversation,
        firstSeq: Number(row.first_seq),
        epoch: row.epoch,
        bytes: row.bytes,
      }));
    });
  }

  async #first(what: string, cql: string, params: readonly unknown[], how: Execution): Promise<types.Row | undefined> {
    const { rows } = await this.#session.execute(what, cql, params, how);
    return rows[0];
  }

  /** R10: what stands below a committed checkpoint is never asked for again. If it stays, it costs space only. */
  async #clean(conversation: string, epoch: bigint): Promise<void> {
    if ((this.#cleaned.get(conversation) ?? -1n) >= epoch) return;
    await this.#session.execute("removing old checkpoints", this.#statements.cleanCheckpoints, [conversation, epoch], QUORUM);
    if (this.#cleaned.size >= LIMITS.cassandraCleanedRemembered) this.#cleaned.clear();
    this.#cleaned.set(conversation, epoch);
  }

  async #settle(write: Promise<unknown>): Promise<"committed" | "unknown"> {
    const { telemetry } = this.#session;
    try {
      await write;
      if (this.#failing) telemetry.log("info", "store.writable");
      this.#failing = false;
      return "committed";
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      telemetry.count("store.writes.unknown");
      // One line for a whole outage.
      if (!this.#failing) telemetry.log("error", "store.failing", { error: error.toString(), advice: error.advice });
      this.#failing = true;
      return "unknown";
    }
  }
}

/** The driver takes Buffers only; this one shares the bytes. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
