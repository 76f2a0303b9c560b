import { LIMITS } from "../kernel/limits.ts";
import type { Guard, KeyValue, Range, TxnAnswer } from "../ports/coordinator.ts";
import type { Calls } from "./calls.ts";

export interface ListOptions {
  readonly prefix: string;
  /** Of each page; the listing ends when it does not hold. */
  readonly guard?: Guard;
  /** Default: the present one, which the first page's answer names. */
  readonly revision?: number;
}

export type Listing =
  | { readonly status: "listed"; readonly kvs: readonly KeyValue[]; readonly revision: number }
  /** With the guarded key as it is, and the revision of that read. */
  | { readonly status: "guard-failed"; readonly guarded: KeyValue | undefined; readonly revision: number }
  | { readonly status: "compacted" }
  | { readonly status: "unknown" };

/**
 * All keys under a prefix as they were at one revision: that of the first page, which every later page asks for. The
 * later pages' own header revisions mean nothing: keys that changed since are shown as they were.
 */
export async function list(calls: Calls, options: ListOptions): Promise<Listing> {
  const kvs: KeyValue[] = [];
  let revision = options.revision;
  for (;;) {
    const answer = await readPage(calls, options, kvs.at(-1)?.key, revision);
    if (answer.status === "unknown") return { status: "unknown" };
    if (answer.status === "not-applied") return { status: answer.reason === "compacted" ? "compacted" : "unknown" };
    const page = answer.ranges[0];
    if (answer.status === "guard-failed" || page === undefined) {
      return { status: "guard-failed", guarded: answer.ranges[1]?.kvs[0], revision: answer.header.revision };
    }
    revision ??= answer.header.revision;
    kvs.push(...page.kvs);
    if (!page.more || page.kvs.length === 0) return { status: "listed", kvs, revision };
  }
}

function readPage(calls: Calls, options: ListOptions, after?: string, revision?: number): Promise<TxnAnswer> {
  const page: Range = {
    prefix: options.prefix,
    limit: LIMITS.coordinatorPageKeys,
    ...(after === undefined ? {} : { after }),
    ...(revision === undefined ? {} : { revision }),
  };
  const { guard } = options;
  const what = `listing ${options.prefix}`;
  if (guard === undefined) return calls.txn(what, { ranges: [page] });
  return calls.txn(what, { guards: [guard], ranges: [page, { key: guard.key }] });
}
