/**
 * A small linearizable key space with leases and revisions, as etcd gives it. It holds who leads; it is never on a
 * message's path. What its answers prove (renewals, doubt, the age of news) is decided in `membership/`.
 *
 * A coordinator that is a server of its own may refuse any call for ever: UNAUTHENTICATED or PERMISSION_DENIED, thrown also
 * by `txn`, mean that the call had no effect and that an operator must act.
 */
export interface Coordinator {
  /** A new lease. It may end later than asked, never earlier than `ttlMs` after the grant was applied. Throws UNAVAILABLE. */
  grant(ttlMs: number): Promise<LeaseAnswer>;

  /** `ttlMs` 0: the lease is gone. Throws UNAVAILABLE when there was no answer; a late answer is never given to a later call. */
  renew(lease: LeaseId): Promise<LeaseAnswer>;

  /** Ends a lease and deletes its keys. Throws UNAVAILABLE when the outcome is unknown. */
  revoke(lease: LeaseId): Promise<void>;

  /**
   * One atomic transaction: if every guard holds, puts and deletes are applied. The ranges are read either way, after the
   * writes. With no guard, put or delete it is a linearizable read. Never throws for a lost answer: that is "unknown", and
   * an unknown transaction may still be applied later, until one of its guards changes. Throws INVALID_ARGUMENT or TOO_LARGE
   * for what no state would allow: a key written twice, more than `LIMITS.coordinatorTxnOperations` operations.
   */
  txn(txn: Txn): Promise<TxnAnswer>;

  /**
   * All changes of keys under `prefix` from `fromRevision` on, in order. Ends only by throwing: UNAVAILABLE when cut,
   * TRUNCATED when that revision has been compacted or the loop is too slow (list again). Breaking out of the loop closes the
   * watch; so does the iterator's `return`, which also ends a `next` that waits.
   */
  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer>;
}

export type LeaseId = string;

/** Travels with every answer. `revision` is the key space's present one, `term` the raft term of the server that answered. */
export interface Header {
  readonly cluster: string;
  readonly term: number;
  readonly revision: number;
}

export interface LeaseAnswer {
  readonly header: Header;
  readonly lease: LeaseId;
  readonly ttlMs: number;
}

export interface Txn {
  readonly guards?: readonly Guard[];
  readonly puts?: readonly Put[];
  readonly deletes?: readonly string[];
  readonly ranges?: readonly Range[];
}

/** Holds while the key's mod revision is exactly this; 0 means that the key does not exist. */
export interface Guard {
  readonly key: string;
  readonly modRevision: number;
}

export interface Put {
  readonly key: string;
  readonly value: Uint8Array;
  /** The key ends with this lease. */
  readonly lease?: LeaseId;
}

/** One key, or the keys under a prefix in order, after `after` (exclusive), as of `revision` (default: now). */
export type Range =
  | { readonly key: string }
  | { readonly prefix: string; readonly after?: string; readonly limit: number; readonly revision?: number };

/**
 * not-applied: a definite refusal other than a guard (the put's lease is gone, too many requests, compacted revision):
 * surely neither applied now nor later. unknown: everything else that is not an answer.
 */
export type TxnAnswer =
  | { readonly status: "applied" | "guard-failed"; readonly header: Header; readonly ranges: readonly RangeAnswer[] }
  | { readonly status: "not-applied"; readonly reason: "lease-not-found" | "compacted" | "busy" }
  | { readonly status: "unknown"; readonly cause: unknown };

export interface RangeAnswer {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: number;
  readonly lease?: LeaseId;
}

export interface WatchAnswer {
  readonly header: Header;
  readonly events: readonly WatchEvent[];
}

export type WatchEvent =
  | { readonly type: "put"; readonly kv: KeyValue }
  | { readonly type: "delete"; readonly key: string; readonly modRevision: number };
