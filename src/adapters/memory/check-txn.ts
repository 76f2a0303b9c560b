import { invariant, MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Txn } from "../../ports/coordinator.ts";

/** What etcd, or its limits as we set them, refuse whatever the state is: a test that passes here must not fail there. */
export function checkTxn({ guards = [], puts = [], deletes = [], ranges = [] }: Txn): void {
  const written = new Set(deletes);
  let bytes = 0;
  for (const { key, value } of puts) {
    if (written.has(key)) throw new MeridianError("INVALID_ARGUMENT", `a transaction writes the key ${key} twice`);
    written.add(key);
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes === 0) throw new MeridianError("INVALID_ARGUMENT", "a key is empty");
    checkSize("bytes in a key", keyBytes, LIMITS.coordinatorKeyBytes);
    bytes += keyBytes + value.length;
  }
  checkSize("bytes", bytes, LIMITS.coordinatorTxnBytes);
  checkSize("guards", guards.length, LIMITS.coordinatorTxnOperations);
  checkSize("operations", puts.length + deletes.length + ranges.length, LIMITS.coordinatorTxnOperations);
  for (const range of ranges) invariant(!("prefix" in range) || range.limit > 0, "a page of a range holds at least one key");
}

function checkSize(what: string, size: number, limit: number): void {
  if (size <= limit) return;
  throw new MeridianError("TOO_LARGE", `a transaction has ${size} ${what}; at most ${limit} are allowed`, {
    details: { limit: String(limit) },
  });
}
