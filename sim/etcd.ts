import { type Change, KeySpace, keyOf } from "../src/adapters/memory/key-space.ts";
import { encodeValue, keys, parsePlacement } from "../src/membership/keys.ts";
import type { Header, KeyValue, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchEvent } from "../src/ports/coordinator.ts";
import type { VirtualClock } from "./clock.ts";
import type { SeededRandom } from "./random.ts";

const EXPIRY_MS = 150;
const ALL_KEYS = 100_000;

type Watcher = (events: readonly WatchEvent[]) => void;

/** A lease that has ended, and when its keys go: its leader has proposed that, and it lands whoever leads by then. */
interface Ending {
  readonly term: number;
  readonly atMs: number;
}

/**
 * The coordinator itself, as its present leader holds it: one linearizable key space with terms. Leases end late, and all of
 * them are extended when the leader changes, except that what the former one had proposed to end ends all the same; a deposed
 * leader goes on answering keep-alives of those that still talk to it.
 */
export class Etcd {
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #lateMs: number;
  #keySpace = new KeySpace();
  #backup: { readonly revision: number; readonly kvs: readonly KeyValue[] } = { revision: 1, kvs: [] };
  readonly #cluster = "etcd-1";
  #term = 1;
  /** When each lease's time is up. */
  readonly #leases = new Map<LeaseId, number>();
  readonly #endings = new Map<LeaseId, Ending>();
  readonly #watchers = new Map<Watcher, string>();
  #deposed:
    | { readonly header: Header; readonly leases: ReadonlyMap<LeaseId, number>; readonly hears: (place: string) => boolean }
    | undefined;
  /** Nobody is answered: there is no leader. */
  #silent = 0;

  /** Leases end up to `lateMs` after their time. */
  constructor(clock: VirtualClock, random: SeededRandom, lateMs: number) {
    this.#clock = clock;
    this.#random = random;
    this.#lateMs = lateMs;
    this.#expire();
  }

  get up(): boolean {
    return this.#silent === 0;
  }

  get header(): Header {
    return { cluster: this.#cluster, term: this.#term, revision: this.#keySpace.revision };
  }

  grant(ttlMs: number): LeaseAnswer {
    const now = this.#clock.monotonicMs();
    const lease = this.#keySpace.grant(ttlMs, now);
    this.#leases.set(lease, now + ttlMs);
    return { header: this.header, lease, ttlMs };
  }

  /** Undefined: there is no answer now. */
  renew(lease: LeaseId, place: string): LeaseAnswer | undefined {
    const deposed = this.#deposed;
    if (deposed?.hears(place)) {
      const ttlMs = deposed.leases.get(lease);
      if (ttlMs !== undefined) return { header: deposed.header, lease, ttlMs };
    }
    if (!this.up) return undefined;
    const isEnding = this.#endings.get(lease)?.term === this.#term;
    return { lease, ttlMs: isEnding ? 0 : this.#prolong(lease), header: this.header };
  }

  revoke(lease: LeaseId): void {
    this.#leases.delete(lease);
    this.#endings.delete(lease);
    this.#publish(this.#keySpace.revoke(lease));
  }

  txn(txn: Txn): TxnAnswer {
    const outcome = this.#keySpace.txn(txn);
    if (outcome.status === "not-applied") return outcome;
    this.#publish(outcome.change);
    return { status: outcome.status, header: this.header, ranges: outcome.ranges };
  }

  /** The changes from a revision on; "compacted" when some are gone. */
  changesFrom(revision: number): readonly Change[] | "compacted" {
    return this.#keySpace.changesFrom(revision);
  }

  watch(prefix: string, watcher: Watcher): () => void {
    this.#watchers.set(watcher, prefix);
    return () => this.#watchers.delete(watcher);
  }

  compact(): void {
    this.#keySpace.compact(this.#keySpace.revision);
  }

  /** Another leader: every lease gets its whole TTL again, and those that `hears` names hear the former one for a while. */
  elect(hears: (place: string) => boolean, deposedMs: number): void {
    const leases = new Map([...this.#leases.keys()].map((lease) => [lease, this.#prolong(lease)]));
    const deposed = { header: this.header, leases, hears };
    this.#term += 1;
    this.#deposed = deposed;
    this.#clock.after(deposedMs, () => {
      if (this.#deposed === deposed) this.#deposed = undefined;
    });
  }

  /** All keys as they are now. */
  backUp(): void {
    const all = this.#keySpace.txn({ ranges: [{ prefix: keys.prefix, limit: ALL_KEYS }] });
    const kvs = "ranges" in all ? (all.ranges[0]?.kvs ?? []) : [];
    this.#backup = { revision: this.#keySpace.revision, kvs };
  }

  /**
   * Goes back to the backup, or to nothing, and so to lower revisions; what stood on leases is gone. An operator who does it by
   * the book raises the incarnation, too.
   */
  restore(byTheBook: boolean): void {
    const { revision, kvs } = this.#backup;
    this.#keySpace = new KeySpace({ start: { revision, kvs: kvs.filter(({ lease }) => lease === undefined) } });
    this.#leases.clear();
    this.#endings.clear();
    this.#deposed = undefined;
    this.#term += 1;
    const placement = kvs.find(({ key }) => key === keys.placement);
    if (!byTheBook || placement === undefined) return;
    const { incarnation, ...rest } = parsePlacement(placement);
    this.#keySpace.txn({ puts: [{ key: keys.placement, value: encodeValue({ ...rest, incarnation: incarnation + 1 }) }] });
  }

  silence(): () => void {
    this.#silent += 1;
    return () => {
      this.#silent -= 1;
    };
  }

  heal(): void {
    this.#deposed = undefined;
  }

  /** As long as nobody leads, nothing ends. */
  #expire(): void {
    const now = this.#clock.monotonicMs();
    if (this.up) {
      for (const [lease, endsAtMs] of this.#leases) {
        if (endsAtMs > now || this.#endings.has(lease)) continue;
        const lateMs = this.#random.chance(1, 3) ? this.#random.below(this.#lateMs + 1) : 0;
        this.#endings.set(lease, { term: this.#term, atMs: now + lateMs });
      }
      for (const [lease, { atMs }] of this.#endings) if (atMs <= now) this.revoke(lease);
    }
    this.#clock.after(EXPIRY_MS, () => this.#expire());
  }

  /** Its whole TTL from now on; 0 when it is gone. */
  #prolong(lease: LeaseId): number {
    const now = this.#clock.monotonicMs();
    const ttlMs = this.#keySpace.renew(lease, now);
    if (ttlMs > 0) this.#leases.set(lease, now + ttlMs);
    return ttlMs;
  }

  #publish(change: Change | undefined): void {
    if (change === undefined) return;
    for (const [watcher, prefix] of this.#watchers) {
      const events = change.events.filter((event) => keyOf(event).startsWith(prefix));
      if (events.length > 0) watcher(events);
    }
  }
}
