import { LIMITS } from "../kernel/limits.ts";
import type { Batch } from "../log/batch.ts";
import type { Tenure } from "../membership/tenure.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Telemetry } from "../ports/telemetry.ts";

/**
 * When a leader writes checkpoints (R10). A checkpoint must be the state *as of its watermark*. The state at hand is always
 * ahead of the watermark by the batches on their way; so it is encoded at the moment when a batch is cut, and written when
 * that very batch commits. If the batch never commits, neither does its checkpoint.
 */
export class Checkpointer {
  readonly #options: { readonly tenure: Tenure; readonly store: LogStore; readonly telemetry: Telemetry };
  #savedSeq: number | undefined;
  #lastSize = 0;
  #logBytes = 0;
  #wrote = false;
  #waiting: { readonly seq: number; readonly bytes: Uint8Array } | undefined;

  constructor(options: {
    readonly tenure: Tenure;
    readonly store: LogStore;
    readonly telemetry: Telemetry;
    readonly checkpointSeq: number | undefined;
  }) {
    this.#options = options;
    this.#savedSeq = options.checkpointSeq;
  }

  /** This leader has given nothing to the log. */
  get wroteNothing(): boolean {
    return !this.#wrote;
  }

  /** A batch was cut; `encode` gives the state right after it. */
  appended(batch: Batch, encode: () => Uint8Array): void {
    this.#wrote = true;
    this.#logBytes += batch.bytes.length;
    const due = Math.max(LIMITS.checkpointLogBytes, LIMITS.checkpointLogRatio * this.#lastSize);
    if (this.#logBytes < due || this.#waiting !== undefined) return;
    this.#logBytes = 0;
    this.#waiting = { seq: batch.lastSeq, bytes: encode() };
  }

  committed(batch: Batch): void {
    const waiting = this.#waiting;
    if (waiting === undefined || waiting.seq !== batch.lastSeq) return;
    this.#save(waiting.seq, waiting.bytes).then(
      () => {
        this.#waiting = undefined;
      },
      (error: unknown) => {
        this.#waiting = undefined;
        this.#options.telemetry.log("error", "checkpoint.failed", { error: String(error) });
      },
    );
  }

  /** The head, of a leader that is sealed and drained. */
  async saveHead(seq: number, encode: () => Uint8Array): Promise<boolean> {
    return this.#savedSeq === seq || (await this.#save(seq, encode()));
  }

  async #save(seq: number, bytes: Uint8Array): Promise<boolean> {
    const { store, tenure, telemetry } = this.#options;
    this.#lastSize = bytes.length;
    telemetry.count("leader.checkpoints");
    const saved = (await store.saveCheckpoint(tenure.conversation, tenure.epoch, seq, bytes)) === "committed";
    if (saved) this.#savedSeq = seq;
    return saved;
  }
}
