import { Background } from "../kernel/background.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Telemetry } from "../ports/telemetry.ts";

export interface StoreHealthOptions {
  readonly store: Pick<LogStore, "loadEpochMark">;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** One read that is lost is no fault; the second in a row is one. */
const FAILURES = 2;
/** Any row would do: it is there or not, and read at QUORUM. */
const SHARD = 0;

/**
 * Whether the log can be written from here, as a small read at QUORUM tells. A node that sees no majority of the log's
 * replicas acknowledges nothing, and clients do better elsewhere; nobody would notice before one of them sends.
 */
export class StoreHealth {
  readonly #options: StoreHealthOptions;
  readonly #background: Background;
  #failures = 0;
  #last = "";

  constructor(options: StoreHealthOptions) {
    this.#options = options;
    this.#background = new Background((what, error) => {
      options.telemetry.log("error", "store.health-failed", { what, error: error.message });
    });
  }

  start(): void {
    this.#background.run("looking after the store", async (signal) => {
      while (!signal.aborted) {
        await this.#look(signal);
        await sleep(this.#options.clock, LIMITS.storeHealthMs, signal);
      }
    });
  }

  stop(): Promise<void> {
    return this.#background.stop();
  }

  fault(): string | undefined {
    return this.#failures < FAILURES ? undefined : `the log's majority does not answer: ${this.#last}`;
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    try {
      await withDeadline(clock, LIMITS.storeHealthAnswerMs, "reading at QUORUM", store.loadEpochMark(SHARD), signal);
      this.#failures = 0;
    } catch (thrown) {
      this.#failures += 1;
      this.#last = MeridianError.from(thrown).message;
    }
  }
}
