import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep, withDeadline } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Coordinator, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchAnswer } from "../../ports/coordinator.ts";
import { DelayedWatch } from "./delayed-watch.ts";
import { COORDINATOR, type Links } from "./links.ts";

export interface DelayedCoordinatorOptions {
  /** Where the node stands that uses this object. */
  readonly region: string;
  /** The one of all regions, in this process. */
  readonly coordinator: Coordinator;
  readonly links: Links;
  readonly clock: Clock;
}

/**
 * The embedded coordinator as a node in one region has it: as far away as `links` say, and not there while they are cut.
 *
 * A request that was cut off on its way never takes effect; one whose answer was cut off has taken effect. The caller
 * cannot tell which: both have the same "no answer", after the same time.
 */
export class DelayedCoordinator implements Coordinator {
  readonly #options: DelayedCoordinatorOptions;
  /** How long a call may take: beyond the way there and back. */
  readonly #withinMs: number;

  constructor(options: DelayedCoordinatorOptions) {
    this.#options = options;
    this.#withinMs = LIMITS.wanAnswerMs + 2 * options.links.oneWayMs(options.region, COORDINATOR);
  }

  grant(ttlMs: number): Promise<LeaseAnswer> {
    return this.#carry("granting a lease", (coordinator) => coordinator.grant(ttlMs));
  }

  renew(lease: LeaseId): Promise<LeaseAnswer> {
    return this.#carry("renewing a lease", (coordinator) => coordinator.renew(lease));
  }

  revoke(lease: LeaseId): Promise<void> {
    return this.#carry("revoking a lease", (coordinator) => coordinator.revoke(lease));
  }

  async txn(txn: Txn): Promise<TxnAnswer> {
    try {
      return await this.#carry("a transaction", (coordinator) => coordinator.txn(txn));
    } catch (thrown) {
      const cause = MeridianError.from(thrown);
      if (cause.code === "UNAVAILABLE") return { status: "unknown", cause };
      throw cause;
    }
  }

  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    const { region, coordinator, links, clock } = this.#options;
    const begin = () => coordinator.watch(prefix, fromRevision)[Symbol.asyncIterator]();
    return {
      [Symbol.asyncIterator]: () => new DelayedWatch({ region, links, clock, begin, withinMs: this.#withinMs }),
    };
  }

  /** Throws UNAVAILABLE when there was no answer in time, and what the coordinator throws. */
  async #carry<T>(what: string, call: (coordinator: Coordinator) => Promise<T>): Promise<T> {
    const { region, coordinator, links, clock } = this.#options;
    const endMs = clock.monotonicMs() + this.#withinMs;
    const way = links.roundTrip(region, COORDINATOR, () => call(coordinator));
    const back = await withDeadline(clock, this.#withinMs, what, way);
    if (back !== "cut") return back.answer;
    await sleep(clock, endMs - clock.monotonicMs());
    throw new MeridianError("UNAVAILABLE", `${what} had no answer: ${region} was cut off from the coordinator`);
  }
}
