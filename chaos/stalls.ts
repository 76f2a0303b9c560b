import type { SteadyLoad } from "../src/cli/load/steady-load.ts";
import { sleep } from "../src/kernel/timing.ts";
import { clock } from "./clock.ts";

const POLL_MS = 50;
/** Beyond it the recovery has failed, and the stall says so. */
const RECOVERY_MS = 90_000;

/** How long conversations stall under one fault, and then while what was broken comes back. */
export class Stalls {
  readonly #load: SteadyLoad;
  #recoveredMs: number | undefined;

  constructor(load: SteadyLoad) {
    this.#load = load;
  }

  begin(): void {
    this.#load.measureFrom(clock.monotonicMs());
  }

  /** Of two faults at once, the second one to recover counts. */
  async recovered(conversations: Iterable<string>): Promise<void> {
    const names = [...conversations];
    const endMs = clock.monotonicMs() + RECOVERY_MS;
    while (!names.every((name) => this.#load.recovered.has(name)) && clock.monotonicMs() < endMs) await sleep(clock, POLL_MS);
    this.#recoveredMs = Math.max(this.#recoveredMs ?? 0, this.#load.longestStallMs());
    this.#load.measureFrom(clock.monotonicMs());
  }

  end(): { readonly longestStallMs: number; readonly mendingStallMs: number | undefined } {
    const lastMs = this.#load.longestStallMs();
    const recoveredMs = this.#recoveredMs;
    return recoveredMs === undefined
      ? { longestStallMs: lastMs, mendingStallMs: undefined }
      : { longestStallMs: recoveredMs, mendingStallMs: lastMs };
  }
}
