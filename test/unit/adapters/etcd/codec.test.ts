import { describe, expect, it } from "vitest";
import { encodeTxn, integer } from "../../../../src/adapters/etcd/codec.ts";
import { ClusterKeys } from "../../../../src/adapters/etcd/keys.ts";

const keys = new ClusterKeys("chat/");

describe("etcd's messages", () => {
  it("hold 64-bit numbers, which are taken as long as a number can hold them and refused beyond", () => {
    expect(integer("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => integer("9007199254740993")).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });

  it("never ask for a transaction without operations, which one member alone would answer", () => {
    for (const txn of [{}, { guards: [{ key: "a", modRevision: 0 }] }]) {
      const { success, failure } = encodeTxn(txn, keys);
      expect(success).toEqual([{ request_range: { key: Buffer.from("chat/") } }]);
      expect(failure).toEqual(success);
    }
  });
});
