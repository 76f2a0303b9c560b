import { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { onAbort } from "./on-abort.ts";

/**
 * The application's own memory of how far it has handled its conversations. It is the authority: what `load` answers is
 * where a subscription goes on. Both may be asynchronous.
 */
export interface CursorStore {
  /** The last handled seq; undefined if there is none. */
  load(conversation: string): Promise<number | undefined> | number | undefined;
  /** Called one at a time, with growing seqs; not for every seq. */
  save(conversation: string, seq: number): Promise<void> | void;
}

const PAUSE = { firstMs: 100, maxMs: 5_000 };

export interface LoadCursorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly cursors: CursorStore;
  readonly conversation: string;
  readonly signal: AbortSignal;
  readonly onFault: (what: string, error: MeridianError) => void;
}

/** Where the application's store says to go on. Throws UNAVAILABLE after 5 tries: a guessed start would lose or repeat. */
export async function loadCursor(options: LoadCursorOptions): Promise<number | undefined> {
  const { clock, random, cursors, conversation, signal, onFault } = options;
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      return await cursors.load(conversation);
    } catch (cause) {
      const error = new MeridianError("UNAVAILABLE", "the cursor store could not be read", { cause });
      if (failures + 1 >= LIMITS.handlerTries) throw error;
      onFault("a cursor could not be loaded", error);
      await sleep(clock, backoffMs(failures, PAUSE, random.u32()), signal);
    }
  }
  return undefined;
}

export interface CursorSaverOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Stores the cursor, or throws. */
  readonly save: (seq: number) => Promise<void>;
  readonly onFault: (what: string, error: MeridianError) => void;
}

/** Moves a cursor after what was handled: one save at a time, always of the newest position, again after failures. */
export class CursorSaver {
  readonly #options: CursorSaverOptions;
  readonly #background: Background;
  #wantedSeq = 0;
  #savedSeq = 0;
  #isRunning = false;
  #lastError: MeridianError | undefined;
  #atRest = new Deferred<void>();

  constructor(options: CursorSaverOptions) {
    this.#options = options;
    this.#background = new Background(options.onFault);
  }

  moved(seq: number): void {
    this.#wantedSeq = seq;
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#atRest = new Deferred();
    this.#background.run("saving a cursor", async (signal) => {
      await this.#catchUp(signal);
      this.#isRunning = false;
      this.#atRest.resolve();
    });
  }

  /** Waits until the last position is saved. Throws UNAVAILABLE when that fails: its messages may come again. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    if (this.#isRunning) {
      const saved = withDeadline(clock, LIMITS.callDeadlineMs, "saving the cursor", this.#atRest.promise);
      await saved.catch((error: MeridianError) => {
        this.#lastError ??= error;
      });
    }
    await this.#background.stop();
    if (this.#savedSeq >= this.#wantedSeq) return;
    throw new MeridianError("UNAVAILABLE", `the cursor may stand at ${this.#savedSeq} instead of ${this.#wantedSeq}`, {
      advice: "Messages above the cursor will come again: the handler must bear a repeat.",
      cause: this.#lastError,
    });
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const { clock, random, save, onFault } = this.#options;
    for (let failures = 0; this.#savedSeq < this.#wantedSeq && !signal.aborted; ) {
      const seq = this.#wantedSeq;
      try {
        await unlessAborted(save(seq), signal);
        this.#savedSeq = seq;
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        const error =
          thrown instanceof MeridianError
            ? thrown
            : new MeridianError("UNAVAILABLE", "the cursor was not saved", { cause: thrown });
        this.#lastError = error;
        onFault(`the cursor at ${seq} could not be saved`, error);
        if (error.retry === "never") return;
        await sleep(clock, backoffMs(failures, PAUSE, random.u32()), signal);
        failures += 1;
      }
    }
  }
}

function unlessAborted(saving: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => reject(new MeridianError("UNAVAILABLE", "the save was given up")));
    saving.then(resolve, reject).finally(forget);
  });
}

/** The cursor that the server keeps for a consumer: acknowledged cumulatively, and again in every new session. */
export class ServerCursor {
  readonly #acknowledge: (seq: number) => boolean;
  #pending: { readonly seq: number; readonly saved: Deferred<void> } | undefined;
  #over: MeridianError | undefined;

  /** `acknowledge` answers false while there is no session: then `again` is called when there is one. */
  constructor(acknowledge: (seq: number) => boolean) {
    this.#acknowledge = acknowledge;
  }

  async save(seq: number): Promise<void> {
    if (this.#over !== undefined) throw this.#over;
    const saved = new Deferred<void>();
    this.#pending = { seq, saved };
    this.#acknowledge(seq);
    return saved.promise;
  }

  again(): void {
    if (this.#pending !== undefined) this.#acknowledge(this.#pending.seq);
  }

  saved(seq: number): void {
    if (this.#pending !== undefined && seq >= this.#pending.seq) this.#settle((saved) => saved.resolve());
  }

  /** The subscription is over: nothing can be saved any more. */
  fail(cause: MeridianError): void {
    const over = new MeridianError("UNAVAILABLE", "the subscription is over", { retry: "never", cause });
    this.#over = over;
    this.#settle((saved) => saved.reject(over));
  }

  #settle(end: (saved: Deferred<void>) => void): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) end(pending.saved);
  }
}
