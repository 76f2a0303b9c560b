import type { StatusObject } from "@grpc/grpc-js";
import { type Code, MeridianError } from "../../kernel/errors.ts";

interface Refusal {
  readonly code: Code;
  readonly advice: string;
}

const LIST_AGAIN = "List the keys again and go on from the list's revision.";
const SETTINGS = "See docs/operating.md#etcd for what etcd's settings must be.";

/**
 * What etcd refuses definitely: a write that got one of these was not applied and never will be. They are known by their
 * text, for "too many requests" has the status UNKNOWN.
 *
 * "database space exceeded" is not among them, though it looks like one: a request that was proposed before the quota was
 * seen to be used up is applied, and then answered with that error. docs/decisions/0012 tells more.
 */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  "etcdserver: requested lease not found": { code: "NOT_FOUND", advice: "The lease has ended: take a new one." },
  "etcdserver: mvcc: required revision has been compacted": { code: "TRUNCATED", advice: LIST_AGAIN },
  "etcdserver: mvcc: required revision is a future revision": { code: "TRUNCATED", advice: LIST_AGAIN },
  "etcdserver: too many requests": { code: "OVERLOADED", advice: "etcd is behind with applying: look at its disks." },
  "etcdserver: too many operations in txn request": { code: "TOO_LARGE", advice: SETTINGS },
  "etcdserver: request is too large": { code: "TOO_LARGE", advice: SETTINGS },
  "etcdserver: duplicate key given in txn request": { code: "INVALID_ARGUMENT", advice: "Write each key once." },
  "etcdserver: permission denied": {
    code: "PERMISSION_DENIED",
    advice: "Give the user's role read and write permission for all keys under the cluster's prefix.",
  },
};

/** Failures that an operator must mend; whether a write was applied is unknown all the same. */
const ADVICE: Readonly<Record<string, string>> = {
  "etcdserver: mvcc: database space exceeded": "etcd's quota is used up: compact, defragment, then disarm its NOSPACE alarm.",
  "etcdserver: user name is empty": "etcd asks for a user: set user and password, or a client certificate.",
  "etcdserver: corrupt cluster": "etcd found that its members differ: stop, keep the data, and replace the member that is wrong.",
};

export const INVALID_TOKEN = "etcdserver: invalid auth token";

/** UNAVAILABLE means that nobody knows whether the call took effect; every other code is a definite refusal. */
export function failureOf(
  address: string,
  { code, details }: Pick<StatusObject, "code" | "details">,
  cause?: unknown,
): MeridianError {
  const refusal = REFUSALS[details];
  const message = `etcd at ${address}: ${details || `gRPC status ${code}`}`;
  if (refusal !== undefined) return new MeridianError(refusal.code, message, { advice: refusal.advice, cause });
  const advice = ADVICE[details];
  return new MeridianError("UNAVAILABLE", message, { ...(advice === undefined ? {} : { advice }), cause });
}
