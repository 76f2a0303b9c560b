/**
 * From "has a seq" to "may be acknowledged" (R3, R4).
 *
 * Several batches are on their way to the log at once and their writes end in any order. A batch counts as committed only
 * together with all before it, and only after *the look*: the store fences nobody, so a write that succeeded proves nothing
 * about who leads. The look must come after the write: a look before it may be hours old when the write ends. A write of
 * unknown outcome is repeated with the same bytes; nothing else may ever be written at that seq under this epoch.
 */
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { sleep } from "../kernel/timing.ts";
import type { Batch } from "../log/batch.ts";
import type { Tenure } from "../membership/tenure.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Random } from "../ports/random.ts";

const REPEAT = { firstMs: 20, maxMs: 1_000 };

export interface PipelineOptions {
  readonly tenure: Pick<Tenure, "conversation" | "epoch" | "look">;
  readonly store: Pick<LogStore, "append">;
  readonly clock: Clock;
  readonly random: Random;
  /** The batch and all before it may be acknowledged. Called in the order of seqs. */
  readonly onCommit: (batch: Batch) => void;
  /** The look failed, or there is a bug: this leadership acknowledges nothing any more. */
  readonly onLost: (bug?: MeridianError) => void;
}

interface Slot {
  readonly batch: Batch;
  written: boolean;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #slots: Slot[] = [];
  #stopped = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /** Batches that are not committed yet. */
  get size(): number {
    return this.#slots.length;
  }

  push(batch: Batch): void {
    const slot: Slot = { batch, written: false };
    this.#slots.push(slot);
    this.#write(slot).catch((error: unknown) => this.#lose(MeridianError.from(error)));
  }

  /** No repeats and no commits any more. What is on its way to the store may still land there. */
  stop(): void {
    this.#stopped = true;
  }

  async #write(slot: Slot): Promise<void> {
    const { clock, random } = this.#options;
    const written = await writeUntilCommitted({
      ...this.#options,
      batch: slot.batch,
      goOn: () => !this.#stopped && this.#options.tenure.look(),
      pause: (tries) => sleep(clock, backoffMs(tries, REPEAT, random.u32())),
    });
    if (this.#stopped) return;
    if (!written) return this.#lose();
    slot.written = true;
    this.#advance();
  }

  #advance(): void {
    for (let slot = this.#slots[0]; slot?.written === true && !this.#stopped; slot = this.#slots[0]) {
      if (!this.#options.tenure.look()) return this.#lose();
      this.#slots.shift();
      this.#options.onCommit(slot.batch);
    }
  }

  #lose(bug?: MeridianError): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#options.onLost(bug);
  }
}

/** Writes the same bytes until they commit; false once `goOn` says no. Also how recovery writes a tail again (R7). */
export async function writeUntilCommitted(options: {
  readonly tenure: Pick<Tenure, "conversation" | "epoch">;
  readonly store: Pick<LogStore, "append">;
  readonly batch: Batch;
  readonly goOn: () => boolean;
  readonly pause: (tries: number) => Promise<void>;
}): Promise<boolean> {
  const { tenure, store, batch } = options;
  const row = { conversation: tenure.conversation, epoch: tenure.epoch, firstSeq: batch.firstSeq, bytes: batch.bytes };
  for (let tries = 0; ; tries += 1) {
    if ((await store.append(row)) === "committed") return true;
    if (!options.goOn()) return false;
    await options.pause(tries);
    if (!options.goOn()) return false;
  }
}
