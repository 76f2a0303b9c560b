import { MeridianError } from "./errors.ts";

/**
 * Work that nobody awaits: loops and follow-ups of a long-lived object. A failure is reported, never lost, and `stop`
 * ends the work by its signal and waits for it.
 */
export class Background {
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #report: (what: string, error: MeridianError) => void;

  constructor(report: (what: string, error: MeridianError) => void) {
    this.#report = report;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  run(what: string, work: (signal: AbortSignal) => Promise<void>): void {
    const running = work(this.signal).catch((error: unknown) => {
      this.#report(what, MeridianError.from(error));
    });
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
