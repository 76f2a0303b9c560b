import { invariant, MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { CursorKey } from "../../ports/log-store.ts";
import type { CheckpointKey, Replica, RowKey } from "./replica.ts";

/** A way to one replica: over the wide area or, for the healed one, inside its region. Throws UNAVAILABLE when it is cut. */
export type Reach = <T>(work: (replica: Replica) => Promise<T>) => Promise<T>;

/** What was copied. Cursors and marks are not counted: they are raised, whether that was needed or not. */
export interface Copied {
  rows: number;
  checkpoints: number;
}

/**
 * Copies into one replica what another has and it has not, page by page: rows as they are, the rest merged by maximum, as
 * the stores do it anyway. After it the target has all that the source had when its page was read, and this is looked at
 * again for every page that needed copying. To stop half-way, or to walk again, does no harm.
 */
export class HealWalk {
  readonly #from: Reach;
  readonly #to: Reach;
  readonly #rowsCopied: (rows: number) => void;
  readonly #copied: Copied = { rows: 0, checkpoints: 0 };

  constructor(options: { readonly from: Reach; readonly to: Reach; readonly rowsCopied: (rows: number) => void }) {
    this.#from = options.from;
    this.#to = options.to;
    this.#rowsCopied = options.rowsCopied;
  }

  /** Throws UNAVAILABLE, and INTERNAL when the target does not have what it has confirmed. */
  async run(): Promise<Copied> {
    // Marks first: they are few, and what protects leaders from a rewound coordinator.
    const marks = await this.#from((source) => source.epochMarks());
    await this.#to((target) => Promise.all(marks.map(({ shard, epoch }) => target.raiseEpochMark(shard, epoch))));
    await this.#copyRows();
    await this.#copyCheckpoints();
    await this.#copyCursors();
    return this.#copied;
  }

  async #copyRows(): Promise<void> {
    let after: RowKey | undefined;
    for (;;) {
      const keys = await this.#from((source) => source.scanRows(after, LIMITS.healPageKeys));
      const missing = await this.#to((target) => target.missingRows(keys));
      if (missing.length > 0) {
        for (let rest = missing; rest.length > 0; ) rest = rest.slice(await this.#copySome(rest));
        const stillMissing = await this.#to((target) => target.missingRows(missing));
        invariant(stillMissing.length === 0, `a replica lacks ${stillMissing.length} rows after it confirmed them`);
      }
      if (keys.length < LIMITS.healPageKeys) return;
      after = keys.at(-1);
    }
  }

  /** Answers how many of the first rows were copied. */
  async #copySome(keys: readonly RowKey[]): Promise<number> {
    const rows = await this.#from((source) => source.rowsOf(keys, LIMITS.pageBytes));
    const outcomes = await this.#to((target) => Promise.all(rows.map((row) => target.append(row))));
    if (outcomes.includes("unknown")) throw notWritten("rows");
    this.#copied.rows += rows.length;
    this.#rowsCopied(rows.length);
    return rows.length;
  }

  async #copyCheckpoints(): Promise<void> {
    let after: string | undefined;
    for (;;) {
      const found = await this.#from((source) => source.scanCheckpoints(after, LIMITS.healPageKeys));
      const behind = await this.#to((target) => behindOf(target, found));
      for (let at = 0; at < behind.length; at += LIMITS.healCheckpoints) {
        await Promise.all(behind.slice(at, at + LIMITS.healCheckpoints).map((key) => this.#copyCheckpoint(key)));
      }
      const stillBehind = await this.#to((target) => behindOf(target, behind));
      invariant(stillBehind.length === 0, `a replica lacks ${stillBehind.length} checkpoints after it confirmed them`);
      if (found.length < LIMITS.healPageKeys) return;
      after = found.at(-1)?.conversation;
    }
  }

  async #copyCheckpoint({ conversation }: CheckpointKey): Promise<void> {
    // Perhaps a newer one than was found: it is the newest that counts.
    const newest = await this.#from((source) => source.loadCheckpoint(conversation));
    invariant(newest !== undefined, `a conversation never loses its checkpoint: ${conversation}`);
    const { epoch, seq, bytes } = newest;
    const outcome = await this.#to((target) => target.saveCheckpoint(conversation, epoch, seq, bytes));
    if (outcome === "unknown") throw notWritten("checkpoints");
    this.#copied.checkpoints += 1;
  }

  async #copyCursors(): Promise<void> {
    let after: CursorKey | undefined;
    for (;;) {
      const found = await this.#from((source) => source.scanCursors(after, LIMITS.healPageKeys));
      await this.#to((target) => Promise.all(found.map(({ cursor, position }) => target.saveCursor(cursor, position))));
      if (found.length < LIMITS.healPageKeys) return;
      after = found.at(-1)?.cursor;
    }
  }
}

async function behindOf(target: Replica, keys: readonly CheckpointKey[]): Promise<CheckpointKey[]> {
  const present = await Promise.all(keys.map(({ conversation }) => target.checkpointKey(conversation)));
  return keys.filter((key, index) => {
    const own = present[index];
    return own === undefined || key.epoch > own.epoch || (key.epoch === own.epoch && key.seq > own.seq);
  });
}

function notWritten(what: string): MeridianError {
  return new MeridianError("UNAVAILABLE", `the replica did not confirm ${what} that it lacked`);
}
