import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { failureOf } from "../../../../src/adapters/etcd/failure.ts";

const codeOf = (details: string, code: number = status.UNKNOWN) => failureOf("host:2379", { code, details }).code;

describe("a failure of etcd", () => {
  it.each([
    ["etcdserver: requested lease not found", "NOT_FOUND"],
    ["etcdserver: mvcc: required revision has been compacted", "TRUNCATED"],
    ["etcdserver: mvcc: required revision is a future revision", "TRUNCATED"],
    ["etcdserver: too many requests", "OVERLOADED"],
    ["etcdserver: too many operations in txn request", "TOO_LARGE"],
    ["etcdserver: request is too large", "TOO_LARGE"],
    ["etcdserver: permission denied", "PERMISSION_DENIED"],
  ])("is a definite refusal when it says '%s', whatever its status", (details, code) => {
    expect(codeOf(details)).toBe(code);
  });

  it.each([
    ["etcdserver: mvcc: database space exceeded", status.RESOURCE_EXHAUSTED],
    ["etcdserver: leader changed", status.UNAVAILABLE],
    ["etcdserver: request timed out", status.UNAVAILABLE],
    ["etcdserver: no leader", status.UNAVAILABLE],
    ["etcdserver: invalid auth token", status.UNAUTHENTICATED],
    ["connect ECONNREFUSED 127.0.0.1:2379", status.UNAVAILABLE],
    ["Deadline exceeded", status.DEADLINE_EXCEEDED],
    ["Call cancelled", status.CANCELLED],
    ["Received message larger than max", status.RESOURCE_EXHAUSTED],
    ["permission denied by a proxy", status.PERMISSION_DENIED],
    ["", status.INTERNAL],
  ])("leaves open what became of the call when it says '%s'", (details, code) => {
    expect(codeOf(details, code)).toBe("UNAVAILABLE");
  });
});
