import { describe, expect, it } from "vitest";
import { ClusterKeys } from "../../../../src/adapters/etcd/keys.ts";

describe("a cluster's keys", () => {
  const keys = new ClusterKeys("chat/");

  it("stand under its prefix in etcd and without it elsewhere", () => {
    expect(keys.encode("homes/é").toString()).toBe("chat/homes/é");
    expect(keys.decode(keys.encode("homes/é"))).toBe("homes/é");
  });

  it("under a prefix end before the prefix with its last byte raised", () => {
    expect(keys.under("p/")).toEqual({ key: Buffer.from("chat/p/"), range_end: Buffer.from("chat/p0") });
    expect(keys.under("")).toEqual({ key: Buffer.from("chat/"), range_end: Buffer.from("chat0") });
  });

  it("after a key begin with the next possible one, and never before the prefix", () => {
    expect(keys.under("p/", "p/a").key).toEqual(Buffer.from("chat/p/a\0"));
    expect(keys.under("p/", "o").key).toEqual(Buffer.from("chat/p/"));
  });
});
