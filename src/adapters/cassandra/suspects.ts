import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../ports/clock.ts";

/** Whom a try asked for its answer: the data center of the node that took it only, or a majority elsewhere too. */
export type Reach = "local" | "global";

/**
 * Nodes that seem to stand still: stopped, swapping, cut off. Their connections stay open, so the driver goes on using
 * them, and each call would wait a whole try before it goes on to the next node.
 *
 * A try that passes without an answer is no proof: the node may be well and the others that it asked may not. So a node is
 * suspected only if it answered nothing else meanwhile, and not for local reads unless it was a local read that passed.
 * Suspected nodes are asked last, for a while; without traffic the driver's heartbeat then finds out by itself.
 */
export class Suspects {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #answeredMs = new Map<string, number>();
  readonly #untilMs = { local: new Map<string, number>(), global: new Map<string, number>() };

  constructor(options: { readonly clock: Pick<Clock, "monotonicMs"> }) {
    this.#clock = options.clock;
  }

  answered(address: string, reach: Reach): void {
    this.#answeredMs.set(address, this.#clock.monotonicMs());
    this.#untilMs[reach].delete(address);
  }

  /** A try of the node passed without an answer after `tryMs`. */
  passed(address: string, reach: Reach, tryMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    if ((this.#answeredMs.get(address) ?? Number.NEGATIVE_INFINITY) > nowMs - tryMs) return;
    this.#untilMs.global.set(address, nowMs + LIMITS.cassandraSuspectMs);
    if (reach === "local") this.#untilMs.local.set(address, nowMs + LIMITS.cassandraSuspectMs);
  }

  isSuspected(address: string, reach: Reach): boolean {
    return this.#clock.monotonicMs() < (this.#untilMs[reach].get(address) ?? Number.NEGATIVE_INFINITY);
  }
}
