/**
 * Cursors that the server keeps for consumers (R11): one position each, merged by maximum in the store. A reset is a new
 * generation, so it may go back; acknowledgements of readers that subscribed before it no longer count.
 */
import type { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { CursorKey, CursorPosition, LogStore } from "../ports/log-store.ts";
import type { Random } from "../ports/random.ts";

const SAVE_AGAIN = { firstMs: 50, maxMs: 2_000 };

type CursorStore = Pick<LogStore, "loadCursor" | "saveCursor">;

/** Begins a new generation at `seq`: the next delivery to a new subscription is the message after it. Throws UNAVAILABLE. */
export async function resetCursor(store: CursorStore, key: CursorKey, seq: number): Promise<CursorPosition> {
  const present = await store.loadCursor(key);
  const position = { generation: (present?.generation ?? 0) + 1, seq };
  await store.saveCursor(key, position);
  return position;
}

export interface CursorSaverOptions {
  readonly store: CursorStore;
  readonly key: CursorKey;
  /** The position that the store has. */
  readonly stored: CursorPosition;
  readonly clock: Clock;
  readonly random: Random;
  readonly background: Background;
  readonly onSaved: (seq: number) => void;
  /** The cursor could not be saved by several tries. */
  readonly onFailed: (error: MeridianError) => void;
}

/** Saves one subscription's cursor: one write at a time, and of the positions that come meanwhile only the last. */
export class CursorSaver {
  readonly #options: CursorSaverOptions;
  #wanted: number;
  #stored: number;
  #saving: Deferred<void> | undefined;
  readonly #abort = new AbortController();

  constructor(options: CursorSaverOptions) {
    this.#options = options;
    this.#wanted = options.stored.seq;
    this.#stored = options.stored.seq;
  }

  save(seq: number): void {
    if (seq <= this.#stored) {
      this.#options.onSaved(this.#stored);
      return;
    }
    this.#wanted = Math.max(this.#wanted, seq);
    if (this.#saving !== undefined) return;
    const saving = new Deferred<void>();
    this.#saving = saving;
    this.#options.background.run("saving a cursor", async () => {
      await this.#save(this.#abort.signal);
      this.#saving = undefined;
      saving.resolve();
    });
  }

  /** The session is over: what has been acknowledged is tried once more at most. */
  giveUp(): void {
    this.#abort.abort();
  }

  /** Resolves when what was to be saved is stored or given up. */
  async settled(): Promise<void> {
    await this.#saving?.promise;
  }

  async #save(signal: AbortSignal): Promise<void> {
    const { store, key, stored, clock, random, onSaved, onFailed } = this.#options;
    for (let tries = 0; this.#stored < this.#wanted; ) {
      const seq = this.#wanted;
      try {
        const saving = store.saveCursor(key, { generation: stored.generation, seq });
        await withDeadline(clock, LIMITS.callDeadlineMs, `saving the cursor of ${JSON.stringify(key.consumer)}`, saving);
        this.#stored = seq;
        tries = 0;
        onSaved(seq);
      } catch (thrown) {
        tries += 1;
        const error = MeridianError.from(thrown);
        if (error.retry === "never" || tries >= LIMITS.readTries || signal.aborted) {
          onFailed(error);
          return;
        }
        await sleep(clock, backoffMs(tries, SAVE_AGAIN, random.u32()), signal);
      }
    }
  }
}
