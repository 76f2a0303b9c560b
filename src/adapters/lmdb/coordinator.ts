/**
 * The coordinator of an embedded installation: a key space in memory, and each of its changes on the disk before anybody
 * hears of it.
 *
 * Memory is ahead of the disk by the group that is being saved and the one that gathers meanwhile. To answer a read from
 * memory at once would be wrong: a power cut could then undo what the reader already acts on. So every answer, reads and
 * renewals included, waits until all that was applied before it is saved; watches are told then too. And as a process that
 * was stopped may wake beside its successor, an answer that changes nothing waits for a look whether the database is still
 * ours, no older than the call: else a deposed node would go on renewing leases in its own memory. Undoing a change in
 * memory when its save fails would be wrong as well: the save may land yet, and later changes were decided on top of it.
 * So nothing is undone: who waits is told "unknown", new calls are refused, and the same group is saved again until it is
 * on the disk.
 */
import { Deferred } from "../../kernel/deferred.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Coordinator, Header, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchAnswer } from "../../ports/coordinator.ts";
import { type Change, KeySpace } from "../memory/key-space.ts";
import { LeaseTimer } from "../memory/lease-timer.ts";
import { Watches } from "../memory/watches.ts";
import { type KeySpaceStore, saveChanges, takeOverKeySpace } from "./key-space-table.ts";

/** Changes that become durable together. */
interface Group {
  readonly changes: Change[];
  /** Rejected when a try to save them has failed; they are saved all the same, later. */
  readonly saved: Deferred<void>;
}

export class LmdbCoordinator implements Coordinator {
  readonly #store: KeySpaceStore;
  readonly #clock: Clock;
  readonly #keySpace: KeySpace;
  readonly #watches: Watches;
  readonly #leaseTimer: LeaseTimer;
  readonly #closing = new AbortController();
  #beingSaved: Group | undefined;
  #gathering: Group | undefined;
  #saving: Promise<void> | undefined;
  /** Why calls are refused now: the disk fails, or the coordinator is closed. */
  #refusal: MeridianError | undefined;

  private constructor(store: KeySpaceStore, clock: Clock, keySpace: KeySpace) {
    this.#store = store;
    this.#clock = clock;
    this.#keySpace = keySpace;
    this.#watches = new Watches(keySpace, (revision) => header(revision));
    this.#leaseTimer = new LeaseTimer(keySpace, clock, (changes) => void this.#saved(changes));
  }

  /**
   * Goes on from what the store holds, without the leases of former runs and their keys. The store is a `Database` opened
   * for this run. Throws UNAVAILABLE, and CORRUPT when a stored key is not as it was written.
   */
  static async open(store: KeySpaceStore, clock: Clock): Promise<LmdbCoordinator> {
    return new LmdbCoordinator(store, clock, new KeySpace({ start: await takeOverKeySpace(store) }));
  }

  async grant(ttlMs: number): Promise<LeaseAnswer> {
    this.#check();
    const lease = this.#keySpace.grant(ttlMs, this.#clock.monotonicMs());
    this.#leaseTimer.update();
    return this.#whenSaved({ header: header(this.#keySpace.revision), lease, ttlMs });
  }

  async renew(lease: LeaseId): Promise<LeaseAnswer> {
    this.#check();
    const ttlMs = this.#keySpace.renew(lease, this.#clock.monotonicMs());
    return this.#whenSaved({ header: header(this.#keySpace.revision), lease, ttlMs });
  }

  async revoke(lease: LeaseId): Promise<void> {
    this.#check();
    const change = this.#keySpace.revoke(lease);
    await this.#saved(change === undefined ? [] : [change]);
  }

  async txn(txn: Txn): Promise<TxnAnswer> {
    if (this.#refusal !== undefined) return { status: "not-applied", reason: "busy" };
    const outcome = this.#keySpace.txn(txn);
    const { revision } = this.#keySpace;
    try {
      await this.#saved("change" in outcome && outcome.change !== undefined ? [outcome.change] : []);
    } catch (cause) {
      return { status: "unknown", cause };
    }
    if (outcome.status === "not-applied") return outcome;
    return { status: outcome.status, header: header(revision), ranges: outcome.ranges };
  }

  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    return this.#watches.watch(prefix, fromRevision);
  }

  /** Forgets all changes before `revision`, as an etcd operator may do at any time. */
  compact(revision: number): void {
    this.#keySpace.compact(revision);
  }

  /** Refuses new calls, saves what was applied, once more if the disk fails, and ends all watches. The database stays open. */
  async close(): Promise<void> {
    this.#leaseTimer.stop();
    this.#refusal = new MeridianError("UNAVAILABLE", "the coordinator is closed");
    this.#closing.abort();
    await this.#saving;
    this.#watches.close(this.#refusal);
  }

  #check(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  async #whenSaved<T>(answer: T): Promise<T> {
    await this.#saved([]);
    return answer;
  }

  /** Resolves when these changes and all before them are on the disk; rejects with UNAVAILABLE when a try has failed. */
  #saved(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return this.#gathering?.saved.promise ?? this.#stillOwned();
    const group = this.#gathering ?? { changes: [], saved: new Deferred() };
    group.changes.push(...changes);
    this.#gathering = group;
    this.#saving ??= this.#saveAll();
    return group.saved.promise;
  }

  /** For an answer that has no save of its own to wait for: what was applied before is on the disk, which is still ours. */
  async #stillOwned(): Promise<void> {
    await Promise.all([this.#beingSaved?.saved.promise, this.#store.transaction(() => {})]);
  }

  /** One group at a time, so that the disk never holds a change without those before it. */
  async #saveAll(): Promise<void> {
    while (this.#gathering !== undefined) {
      this.#beingSaved = this.#gathering;
      this.#gathering = undefined;
      const { changes, saved } = this.#beingSaved;
      if (!(await this.#save(changes, saved))) break;
      for (const change of changes) this.#watches.publish(change);
      this.#beingSaved = undefined;
      saved.resolve();
    }
    this.#saving = undefined;
  }

  /** Tries until the changes are saved. False: the coordinator was closed meanwhile, and the last try failed too. */
  async #save(changes: readonly Change[], saved: Deferred<void>): Promise<boolean> {
    for (;;) {
      const last = this.#closing.signal.aborted;
      try {
        await saveChanges(this.#store, changes);
        if (!this.#closing.signal.aborted) this.#refusal = undefined;
        return true;
      } catch (error) {
        const failure = MeridianError.from(error);
        this.#refusal ??= failure;
        saved.reject(failure);
        this.#gathering?.saved.reject(failure);
        if (last) return false;
      }
      await sleep(this.#clock, LIMITS.coordinatorSaveRetryMs, this.#closing.signal);
    }
  }
}

function header(revision: number): Header {
  return { cluster: "embedded", term: 1, revision };
}
