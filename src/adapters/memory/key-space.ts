import { invariant } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { KeyValue, LeaseId, Put, Range, RangeAnswer, Txn, WatchEvent } from "../../ports/coordinator.ts";
import { checkTxn } from "./check-txn.ts";
import { compareKeys, SortedKeys } from "./sorted-keys.ts";

/** What one applied write did: all its events bear its revision. */
export interface Change {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

export type TxnOutcome =
  | {
      readonly status: "applied" | "guard-failed";
      readonly ranges: readonly RangeAnswer[];
      /** Absent when nothing was written: a failed guard, a plain read, or deletes of keys that do not exist. */
      readonly change: Change | undefined;
    }
  | { readonly status: "not-applied"; readonly reason: "lease-not-found" | "compacted" };

export interface KeySpaceOptions {
  /** The revision to go on from, and the keys that stand at it; they belong to no lease. An empty space begins at 1, as etcd's does. */
  readonly start?: { readonly revision: number; readonly kvs: readonly KeyValue[] };
  /** How many changes are kept at least for watches and for reads at an older revision. */
  readonly historyChanges?: number;
}

interface Lease {
  readonly ttlMs: number;
  endsAtMs: number;
  readonly keys: Set<string>;
}

/**
 * The state behind the in-process coordinators: keys with revisions, leases and a bounded history, with etcd's meaning.
 * It is a pure state machine: time is passed in, and every call takes effect before it returns. Whoever serves it decides
 * when an answer or a change may be shown.
 */
export class KeySpace {
  #revision: number;
  /** Reads reach down to this revision; watches begin above it. */
  #compacted: number;
  readonly #historyChanges: number;
  readonly #changes: Change[] = [];
  /** Every key's versions in the order of their revisions, down to the one that held at the compacted revision. */
  readonly #versions = new Map<string, WatchEvent[]>();
  /** The keys of `#versions`, deleted ones included: a read at an older revision still finds them. */
  readonly #keys = new SortedKeys();
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #leasePrefix: string;
  #leasesGranted = 0;

  constructor(options: KeySpaceOptions = {}) {
    this.#revision = options.start?.revision ?? 1;
    this.#compacted = options.start === undefined ? 0 : this.#revision;
    this.#historyChanges = options.historyChanges ?? LIMITS.coordinatorHistoryChanges;
    // Two runs over the same stored keys start at different revisions, so a lease's id never comes back.
    this.#leasePrefix = String(this.#revision);
    for (const kv of options.start?.kvs ?? []) this.#record({ type: "put", kv });
  }

  get revision(): number {
    return this.#revision;
  }

  /** How many keys take memory: the present ones and the deleted ones that the kept history still shows. */
  get keysHeld(): number {
    return this.#versions.size;
  }

  grant(ttlMs: number, nowMs: number): LeaseId {
    invariant(ttlMs > 0, "a lease lasts longer than 0 ms");
    this.#leasesGranted += 1;
    const lease = `${this.#leasePrefix}-${this.#leasesGranted}`;
    this.#leases.set(lease, { ttlMs, endsAtMs: nowMs + ttlMs, keys: new Set() });
    return lease;
  }

  /** The lease's TTL from now on, in milliseconds; 0 when it has ended. */
  renew(lease: LeaseId, nowMs: number): number {
    const live = this.#leases.get(lease);
    if (live === undefined) return 0;
    live.endsAtMs = nowMs + live.ttlMs;
    return live.ttlMs;
  }

  /** Ends the lease and deletes its keys in one revision. Nothing happens to a lease that has ended already. */
  revoke(lease: LeaseId): Change | undefined {
    const keys = [...(this.#leases.get(lease)?.keys ?? [])].sort(compareKeys);
    this.#leases.delete(lease);
    return this.#write([], keys);
  }

  /** Ends every lease that is due, each in a revision of its own. */
  expire(nowMs: number): Change[] {
    const due = [...this.#leases].filter(([, lease]) => lease.endsAtMs <= nowMs);
    return due.flatMap(([lease]) => this.revoke(lease) ?? []);
  }

  /** When the next lease ends unless it is renewed. */
  nextExpiryMs(): number | undefined {
    let next: number | undefined;
    for (const { endsAtMs } of this.#leases.values()) next = Math.min(next ?? endsAtMs, endsAtMs);
    return next;
  }

  /**
   * As the port's `txn`. A put with a lease that is gone is looked at only when the guards hold, as etcd does it. A revision
   * that was compacted or that is not reached yet (the caller has met another past of this space) is refused alike: the
   * caller lists again. Throws INVALID_ARGUMENT for what etcd refuses always.
   */
  txn(txn: Txn): TxnOutcome {
    const { guards = [], puts = [], deletes = [], ranges = [] } = txn;
    checkTxn(txn);
    const holds = guards.every((guard) => this.#modRevision(guard.key) === guard.modRevision);
    if (holds && puts.some((put) => put.lease !== undefined && !this.#leases.has(put.lease))) {
      return { status: "not-applied", reason: "lease-not-found" };
    }
    if (ranges.some((range) => "prefix" in range && !this.#readable(range.revision))) {
      return { status: "not-applied", reason: "compacted" };
    }
    const change = holds ? this.#write(puts, deletes) : undefined;
    return { status: holds ? "applied" : "guard-failed", ranges: ranges.map((range) => this.#range(range)), change };
  }

  /** The kept changes from `fromRevision` on; "compacted" when some of them may be gone. */
  changesFrom(fromRevision: number): readonly Change[] | "compacted" {
    if (fromRevision <= this.#compacted) return "compacted";
    let first = this.#changes.length;
    while (first > 0 && (this.#changes[first - 1] as Change).revision >= fromRevision) first -= 1;
    return this.#changes.slice(first);
  }

  /** Forgets what was before `revision`: reads at it go on working, watches begin above it. */
  compact(revision: number): void {
    invariant(revision <= this.#revision, "only the past is compacted");
    if (revision <= this.#compacted) return;
    this.#compacted = revision;
    const kept = this.#changes.findIndex((change) => change.revision > revision);
    const forgotten = this.#changes.splice(0, kept < 0 ? this.#changes.length : kept);
    for (const change of forgotten) for (const event of change.events) this.#forgetVersions(keyOf(event), revision);
  }

  #write(puts: readonly Put[], deletes: readonly string[]): Change | undefined {
    const revision = this.#revision + 1;
    const events: WatchEvent[] = puts.map((put) => ({ type: "put", kv: keyValue(put, revision) }));
    for (const key of new Set(deletes)) {
      if (this.#modRevision(key) !== 0) events.push({ type: "delete", key, modRevision: revision });
    }
    if (events.length === 0) return undefined;
    this.#revision = revision;
    for (const event of events) this.#record(event);
    const change = { revision, events };
    this.#changes.push(change);
    // Twice the history before it is cut to one: a cut then costs each change once.
    if (this.#changes.length >= 2 * this.#historyChanges) {
      this.compact((this.#changes[this.#changes.length - this.#historyChanges - 1] as Change).revision);
    }
    return change;
  }

  #record(event: WatchEvent): void {
    const key = keyOf(event);
    const versions = this.#versions.get(key);
    const before = versions?.at(-1);
    if (before?.type === "put" && before.kv.lease !== undefined) this.#leases.get(before.kv.lease)?.keys.delete(key);
    if (event.type === "put" && event.kv.lease !== undefined) this.#leases.get(event.kv.lease)?.keys.add(key);
    if (versions !== undefined) {
      versions.push(event);
      return;
    }
    this.#versions.set(key, [event]);
    this.#keys.add(key);
  }

  #forgetVersions(key: string, revision: number): void {
    const versions = this.#versions.get(key) ?? [];
    let held = 0;
    while (held + 1 < versions.length && revisionOf(versions[held + 1] as WatchEvent) <= revision) held += 1;
    const first = versions[held];
    const gone = first?.type === "delete" && first.modRevision <= revision;
    versions.splice(0, gone ? held + 1 : held);
    if (versions.length > 0) return;
    this.#versions.delete(key);
    this.#keys.remove(key);
  }

  #readable(revision = this.#revision): boolean {
    return revision >= this.#compacted && revision <= this.#revision;
  }

  #modRevision(key: string): number {
    return this.#at(key, this.#revision)?.modRevision ?? 0;
  }

  #at(key: string, revision: number): KeyValue | undefined {
    const version = this.#versions.get(key)?.findLast((event) => revisionOf(event) <= revision);
    return version?.type === "put" ? version.kv : undefined;
  }

  #range(range: Range): RangeAnswer {
    if ("key" in range) {
      const kv = this.#at(range.key, this.#revision);
      return { kvs: kv === undefined ? [] : [kv], more: false };
    }
    const revision = range.revision ?? this.#revision;
    const kvs: KeyValue[] = [];
    for (const key of this.#keys.under(range.prefix, range.after)) {
      const kv = this.#at(key, revision);
      if (kv === undefined) continue;
      if (kvs.length === range.limit) return { kvs, more: true };
      kvs.push(kv);
    }
    return { kvs, more: false };
  }
}

export function keyOf(event: WatchEvent): string {
  return event.type === "put" ? event.kv.key : event.key;
}

function revisionOf(event: WatchEvent): number {
  return event.type === "put" ? event.kv.modRevision : event.modRevision;
}

/** The value is copied: the caller may use its buffer again. */
function keyValue(put: Put, modRevision: number): KeyValue {
  const kv = { key: put.key, value: new Uint8Array(put.value), modRevision };
  return put.lease === undefined ? kv : { ...kv, lease: put.lease };
}
