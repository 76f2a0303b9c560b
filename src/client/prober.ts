import { MeridianService } from "../gen/meridian/v1/client_pb.ts";
import { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import type { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Channel } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import type { RegionChoice } from "./region-choice.ts";

export interface ProberOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly channel: (endpoint: string) => Channel;
  /** Gets the measurements. */
  readonly choice: RegionChoice;
  /** Called after each measurement. */
  readonly onMeasured: () => void;
  readonly report: (what: string, error: MeridianError) => void;
}

/**
 * Measures the ways to all endpoints, each by itself, for as long as it lives: so a slow or dead one holds up no other. It
 * uses the channels that sessions use: the way to the next endpoint is then open when a session needs it.
 */
export class Prober {
  readonly #options: ProberOptions;
  readonly #background: Background;
  readonly #first = new Deferred<void>();
  #unasked: number;
  #wake = new AbortController();

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#background = new Background(options.report);
    const { endpoints } = options.choice;
    this.#unasked = endpoints.length;
    for (const endpoint of endpoints) this.#background.run("probing an endpoint", (signal) => this.#follow(endpoint, signal));
  }

  /**
   * Resolves with the first answer of a node that serves: it is the nearest one's. If none does, once all were asked, after
   * `LIMITS.probeAnswerMs` at most.
   */
  get first(): Promise<void> {
    return this.#first.promise;
  }

  /** Asks all endpoints now. */
  hurry(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  async close(): Promise<void> {
    const stopped = this.#background.stop();
    this.#wake.abort();
    await stopped;
  }

  async #follow(endpoint: string, signal: AbortSignal): Promise<void> {
    const { clock, random, choice } = this.#options;
    for (let tries = 0; !signal.aborted; tries += 1) {
      await this.#probe(endpoint, signal);
      if (tries === 0) this.#asked();
      const spread = 1 + LIMITS.probeJitter * ((2 * random.u32()) / 2 ** 32 - 1);
      if (!signal.aborted) await sleep(clock, choice.isNew(endpoint) ? 0 : LIMITS.probeMs * spread, this.#wake.signal);
    }
  }

  async #probe(endpoint: string, signal: AbortSignal): Promise<void> {
    const { clock, channel, choice, onMeasured } = this.#options;
    const sentMs = clock.monotonicMs();
    const options = { deadlineMs: LIMITS.probeAnswerMs, signal };
    const answer = await channel(endpoint)
      .unary(MeridianService.method.probe, {}, options)
      // To find out who is out of reach is what probes are for: it is a measurement, not a failure.
      .catch(() => undefined);
    if (signal.aborted) return;
    if (answer === undefined) choice.outOfReach(endpoint);
    else choice.measured(endpoint, { rttMs: clock.monotonicMs() - sentMs, serving: answer.serving });
    if (answer?.serving === true) this.#first.resolve();
    onMeasured();
  }

  #asked(): void {
    this.#unasked -= 1;
    if (this.#unasked === 0) this.#first.resolve();
  }
}
