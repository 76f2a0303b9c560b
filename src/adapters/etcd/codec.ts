import type { IEvent, IKeyValue, IRangeRequest, IRequestOp, IResponseHeader, ITxnRequest, ITxnResponse } from "etcd3";
import { MeridianError } from "../../kernel/errors.ts";
import type { Header, KeyValue, Range, RangeAnswer, Txn, WatchEvent } from "../../ports/coordinator.ts";
import type { ClusterKeys } from "./keys.ts";

/** The port's words as etcd says them, and back. */
export function encodeTxn({ guards = [], puts = [], deletes = [], ranges = [] }: Txn, keys: ClusterKeys): ITxnRequest {
  const writes: IRequestOp[] = [
    ...puts.map(({ key, value, lease }) => ({
      request_put: { key: keys.encode(key), value: Buffer.from(value), ...(lease === undefined ? {} : { lease }) },
    })),
    ...[...new Set(deletes)].map((key) => ({ request_delete_range: { key: keys.encode(key) } })),
  ];
  // A transaction without operations is answered by one member from what it happens to know; a read makes it linearizable.
  const asked: readonly Range[] = writes.length === 0 && ranges.length === 0 ? [{ key: "" }] : ranges;
  const reads = asked.map((range) => ({ request_range: encodeRange(range, keys) }));
  return {
    compare: guards.map(({ key, modRevision }) => ({
      key: keys.encode(key),
      target: "Mod",
      result: "Equal",
      mod_revision: String(modRevision),
    })),
    success: [...writes, ...reads],
    failure: reads,
  };
}

/** What the ranges of the transaction show. Throws CORRUPT for revisions that a number cannot hold. */
export function decodeRanges({ ranges = [] }: Txn, { responses }: ITxnResponse, keys: ClusterKeys): readonly RangeAnswer[] {
  // The reads are behind the writes; the read that was added for want of any is not shown.
  const read = responses.filter((response) => response.response_range != null).slice(0, ranges.length);
  return read.map(({ response_range }) => ({
    kvs: response_range.kvs.map((kv) => decodeKeyValue(kv, keys)),
    more: response_range.more,
  }));
}

export function decodeEvent({ type, kv }: IEvent, keys: ClusterKeys): WatchEvent {
  if (String(type).toUpperCase() !== "DELETE") return { type: "put", kv: decodeKeyValue(kv, keys) };
  return { type: "delete", key: keys.decode(kv.key), modRevision: integer(kv.mod_revision) };
}

export function decodeHeader({ cluster_id, raft_term, revision }: IResponseHeader): Header {
  return { cluster: cluster_id, term: integer(raft_term), revision: integer(revision) };
}

/** etcd's numbers have 64 bits and come as text. */
export function integer(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new MeridianError("CORRUPT", `etcd gave the number ${text}, which is beyond 2^53`, {
    advice: "No cluster gets there by working. Was its revision bumped too far when it was restored?",
  });
}

function encodeRange(range: Range, keys: ClusterKeys): IRangeRequest {
  if ("key" in range) return { key: keys.encode(range.key) };
  const { prefix, after, limit, revision } = range;
  return { ...keys.under(prefix, after), limit, ...(revision === undefined ? {} : { revision: String(revision) }) };
}

/** The value is copied: it would keep the whole answer in memory. */
function decodeKeyValue({ key, value, mod_revision, lease }: IKeyValue, keys: ClusterKeys): KeyValue {
  const kv = { key: keys.decode(key), value: new Uint8Array(value), modRevision: integer(mod_revision) };
  return lease === "0" ? kv : { ...kv, lease };
}
