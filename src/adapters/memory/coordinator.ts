import type { Clock } from "../../ports/clock.ts";
import type { Coordinator, Header, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchAnswer } from "../../ports/coordinator.ts";
import { type Change, KeySpace } from "./key-space.ts";
import { LeaseTimer } from "./lease-timer.ts";
import { Watches } from "./watches.ts";

/**
 * A coordinator that forgets everything with its process: for tests and the simulator. Several nodes share one object. A
 * call takes effect before its promise is returned.
 */
export class MemoryCoordinator implements Coordinator {
  readonly #clock: Clock;
  readonly #keySpace: KeySpace;
  readonly #watches: Watches;
  readonly #leaseTimer: LeaseTimer;

  constructor(options: { readonly clock: Clock }) {
    this.#clock = options.clock;
    this.#keySpace = new KeySpace();
    this.#watches = new Watches(this.#keySpace, (revision) => header(revision));
    this.#leaseTimer = new LeaseTimer(this.#keySpace, options.clock, (changes) => this.#publish(changes));
  }

  async grant(ttlMs: number): Promise<LeaseAnswer> {
    const lease = this.#keySpace.grant(ttlMs, this.#clock.monotonicMs());
    this.#leaseTimer.update();
    return { header: header(this.#keySpace.revision), lease, ttlMs };
  }

  async renew(lease: LeaseId): Promise<LeaseAnswer> {
    const ttlMs = this.#keySpace.renew(lease, this.#clock.monotonicMs());
    return { header: header(this.#keySpace.revision), lease, ttlMs };
  }

  async revoke(lease: LeaseId): Promise<void> {
    this.#publish([this.#keySpace.revoke(lease)]);
  }

  async txn(txn: Txn): Promise<TxnAnswer> {
    const outcome = this.#keySpace.txn(txn);
    if (outcome.status === "not-applied") return outcome;
    this.#publish([outcome.change]);
    return { status: outcome.status, header: header(this.#keySpace.revision), ranges: outcome.ranges };
  }

  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    return this.#watches.watch(prefix, fromRevision);
  }

  /** How many watches are open now: a test finds those that were not released. */
  get watches(): number {
    return this.#watches.size;
  }

  /** Forgets all changes before `revision`, as an etcd operator may do at any time. */
  compact(revision: number): void {
    this.#keySpace.compact(revision);
  }

  #publish(changes: readonly (Change | undefined)[]): void {
    for (const change of changes) if (change !== undefined) this.#watches.publish(change);
  }
}

function header(revision: number): Header {
  return { cluster: "memory", term: 1, revision };
}
