/**
 * Reads the log as it was committed, from a store that may be stale, may lack rows, and keeps the rows of dead leaders.
 *
 * A page is read near by and then proven (`chain.ts`). What the proof lacks is read again at a quorum, and at last at every
 * replica; what was read stays, for a batch with the right hash is right wherever it came from. The tempting shortcuts fail:
 * to trust a quorum read shows a zombie's row, which stands at a quorum like any other; to start at the caller's seq misses
 * a batch that begins before it; and always to start 127 seqs before it can mean to read 127 MiB for one message among large ones.
 * So the search goes forward from the caller's seq, and looks back only if that proves nothing.
 */
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { LogStore, ReadLevel, Row } from "../ports/log-store.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { type Batch, decodeBatch, type Watermark } from "./batch.ts";
import { Chain } from "./chain.ts";

export interface LogReaderOptions {
  readonly store: Pick<LogStore, "read">;
  readonly telemetry: Telemetry;
}

const LEVELS: readonly ReadLevel[] = ["local", "quorum", "all"];

export class LogReader {
  readonly #options: LogReaderOptions;

  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  /**
   * Verified batches in order and without a gap: the first holds the seq `after + 1` and may begin before it, none ends above
   * `known`; about `limitBytes` of them, but at least one. None if `after` is not below `known`, which must be a true
   * watermark. Throws UNAVAILABLE if rows are missing, CORRUPT if they are damaged or the log has forked.
   */
  async page(
    conversation: string,
    after: number,
    known: Watermark,
    limitBytes: number = LIMITS.readerPageBytes,
  ): Promise<readonly Batch[]> {
    if (after >= known.seq) return [];
    const search = new Search(this.#options, { conversation, seq: after + 1, known, limitBytes });
    for (const level of LEVELS) {
      if (level !== "local") this.#options.telemetry.count(`log.reads.${level}`);
      const batches = await search.run(level);
      if (batches !== undefined) return cut(batches, limitBytes);
    }
    throw search.failure();
  }
}

interface Wanted {
  readonly conversation: string;
  readonly seq: number;
  readonly known: Watermark;
  readonly limitBytes: number;
}

class Search {
  readonly #store: Pick<LogStore, "read">;
  readonly #telemetry: Telemetry;
  readonly #wanted: Wanted;
  readonly #chain: Chain;
  #damaged: Row | undefined;

  constructor(options: LogReaderOptions, wanted: Wanted) {
    this.#store = options.store;
    this.#telemetry = options.telemetry;
    this.#wanted = wanted;
    this.#chain = new Chain(wanted.conversation, options.telemetry);
    this.#chain.learn(wanted.known);
  }

  async run(level: ReadLevel): Promise<readonly Batch[] | undefined> {
    const { conversation, seq, known, limitBytes } = this.#wanted;
    const lastFrom = Math.min(known.seq, seq + LIMITS.bucketMessages);
    let bytes = 0;
    for (let from = seq; from <= lastFrom && bytes < LIMITS.readerScanBytes; ) {
      // The first page is what is asked for, and large enough to hold a watermark too as a rule; the next ones look for one.
      const limit = from === seq ? Math.max(limitBytes, LIMITS.batchBytes) : LIMITS.pageBytes;
      const { rows, more } = await this.#store.read(conversation, from, { level, limitBytes: limit });
      for (const row of rows) bytes += this.#take(row, level);
      const batches = this.#chain.from(seq, known.seq) ?? (from === seq ? await this.#lookBack(level) : undefined);
      if (batches !== undefined) return batches;
      from = (more ? lastSeqOf(rows, from) : bucketEnd(from)) + 1;
    }
    return undefined;
  }

  failure(): MeridianError {
    const { conversation, seq, known } = this.#wanted;
    const what = `${JSON.stringify(conversation)} cannot be read from seq ${seq} on, though it is committed up to ${known.seq}`;
    const details = { conversation, seq: String(seq), known: String(known.seq) };
    const damaged = this.#damaged;
    if (damaged === undefined) {
      return new MeridianError("UNAVAILABLE", `${what}: rows are missing at every replica`, {
        advice: "Bring back every replica and repair the table; if rows are still missing, restore them from a copy.",
        details,
      });
    }
    return new MeridianError("CORRUPT", `${what}: its row at seq ${damaged.firstSeq} of epoch ${damaged.epoch} is damaged`, {
      advice: "Keep the data of all replicas, and mend the row from one that still has it whole.",
      details: { ...details, firstSeq: String(damaged.firstSeq), epoch: String(damaged.epoch) },
    });
  }

  /** The batch that holds the seq may begin before it, but in the same bucket and not by a whole batch's length. */
  async #lookBack(level: ReadLevel): Promise<readonly Batch[] | undefined> {
    const { conversation, seq, known } = this.#wanted;
    const first = Math.max(bucketEnd(seq) - LIMITS.bucketMessages + 1, seq - LIMITS.batchMessages + 1);
    for (let from = first; from < seq; ) {
      const page = await this.#store.read(conversation, from, { level, limitBytes: LIMITS.pageBytes });
      for (const row of page.rows) if (row.firstSeq < seq) this.#take(row, level);
      if (!page.more) break;
      from = lastSeqOf(page.rows, from) + 1;
    }
    return this.#chain.from(seq, known.seq);
  }

  /** Answers the row's size. */
  #take(row: Row, level: ReadLevel): number {
    const batch = this.#open(row, level);
    if (batch !== undefined) {
      this.#chain.learn(batch.watermark);
      if (batch.lastSeq >= this.#wanted.seq) this.#chain.add(batch);
    }
    return row.bytes.length;
  }

  /** A damaged row counts as such only if no other row serves in its place: it may be a dead one. */
  #open(row: Row, level: ReadLevel): Batch | undefined {
    const { conversation, firstSeq, epoch, bytes } = row;
    try {
      const batch = decodeBatch(conversation, bytes);
      if (batch.firstSeq === firstSeq) return batch;
      throw new MeridianError("CORRUPT", `the row holds the batch of seq ${batch.firstSeq}`);
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      if (error.code !== "CORRUPT") throw error;
      this.#telemetry.count("log.rows.damaged");
      this.#telemetry.log("error", "log.row_damaged", { conversation, firstSeq, epoch, level, error: error.message });
      this.#damaged ??= row;
      return undefined;
    }
  }
}

/** The first batches, about `limitBytes` of them but at least one. */
function cut(batches: readonly Batch[], limitBytes: number): readonly Batch[] {
  let bytes = 0;
  const end = batches.findIndex((batch, index) => {
    bytes += batch.bytes.length;
    return index > 0 && bytes > limitBytes;
  });
  return end < 0 ? batches : batches.slice(0, end);
}

function bucketEnd(seq: number): number {
  return Math.ceil(seq / LIMITS.bucketMessages) * LIMITS.bucketMessages;
}

/** The last firstSeq of a page that has more behind it. */
function lastSeqOf(rows: readonly Row[], from: number): number {
  return rows.at(-1)?.firstSeq ?? from;
}
