import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import { Deferred } from "../../src/kernel/deferred.ts";
import type { Row, StoredCheckpoint } from "../../src/ports/log-store.ts";

export interface HeldAppend {
  readonly row: Row;
  /** The write reaches the store and the answer the leader. */
  commit(): Promise<void>;
  /** The answer is lost; the write has reached the store or not. */
  lose(options: { applied: boolean }): Promise<void>;
}

/** A store whose appends end when, and how, the test says. Until `hold` they commit at once. */
export class ScriptedLogStore extends MemoryLogStore {
  readonly appends: Row[] = [];
  readonly held: HeldAppend[] = [];
  readonly checkpoints: StoredCheckpoint[] = [];
  #hold = false;

  hold(): void {
    this.#hold = true;
  }

  /** New appends commit at once again. */
  flow(): void {
    this.#hold = false;
  }

  override async append(row: Row): Promise<"committed"> {
    this.appends.push(row);
    if (!this.#hold) return super.append(row);
    const answer = new Deferred<"committed" | "unknown">();
    this.held.push({
      row,
      commit: async () => {
        await super.append(row);
        answer.resolve("committed");
      },
      lose: async ({ applied }) => {
        if (applied) await super.append(row);
        answer.resolve("unknown");
      },
    });
    return answer.promise as Promise<"committed">;
  }

  override async saveCheckpoint(conversation: string, epoch: bigint, seq: number, bytes: Uint8Array): Promise<"committed"> {
    this.checkpoints.push({ epoch, seq, bytes });
    return super.saveCheckpoint(conversation, epoch, seq, bytes);
  }
}
