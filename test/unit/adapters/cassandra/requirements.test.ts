import { describe, expect, it } from "vitest";
import { replicasOf, replicationFaults } from "../../../../src/adapters/cassandra/replication.ts";
import { CHECKED_SETTINGS, settingFaults } from "../../../../src/adapters/cassandra/settings.ts";

const GOOD: Readonly<Record<string, string>> = {
  commitlog_sync: "batch",
  disk_failure_policy: "stop",
  commit_failure_policy: "die",
  reject_out_of_token_range_requests: "true",
  max_mutation_size: "16384KiB",
  maximum_timestamp_fail_threshold: "null",
  minimum_timestamp_fail_threshold: "null",
};

describe("a node's settings", () => {
  it("are looked at one by one, and are right in an example [R12]", () => {
    expect(Object.keys(GOOD).sort()).toEqual([...CHECKED_SETTINGS].sort());
    expect(settingFaults(new Map(Object.entries(GOOD)))).toEqual([]);
  });

  it.each([
    ["commitlog_sync", "periodic"],
    ["disk_failure_policy", "best_effort"],
    ["commit_failure_policy", "ignore"],
    ["reject_out_of_token_range_requests", "false"],
    ["max_mutation_size", "4096KiB"],
    ["max_mutation_size", "null"],
    ["maximum_timestamp_fail_threshold", "1d"],
  ])("that endanger what was acknowledged are named with the reason: %s = %s [R12]", (setting, value) => {
    const [fault, ...others] = settingFaults(new Map(Object.entries({ ...GOOD, [setting]: value })));
    expect(fault).toMatch(new RegExp(`^${setting} is ${value}, not .+: .+`));
    expect(others).toEqual([]);
  });

  it("that a node does not have are none", () => {
    expect(settingFaults(new Map())).toEqual([]);
  });
});

describe("a keyspace's replication", () => {
  const faults = (replicas: Readonly<Record<string, number>>) => replicationFaults(new Map(Object.entries(replicas)), "a");

  it("is right with equal numbers in three or more data centers [R12]", () => {
    expect(faults({ a: 1, b: 1, c: 1 })).toEqual([]);
    expect(faults({ a: 3, b: 3, c: 3, d: 3 })).toEqual([]);
  });

  it("is wrong with fewer, with unequal numbers, and without this node's data center [R12]", () => {
    expect(faults({ a: 3, b: 3 })).toEqual([expect.stringContaining("three or more")]);
    expect(faults({ a: 3, b: 1, c: 1 })).toEqual([expect.stringContaining("unequal")]);
    expect(faults({ b: 3, c: 3, d: 3 })).toEqual([expect.stringContaining("a has no replicas")]);
    expect(faults({ a: 0, b: 0, c: 0 })).toEqual([expect.stringContaining("from 1 on")]);
    expect(faults({ a: 1, b: 1, "c'; DROP": 1 })).toEqual([expect.stringContaining("cannot be a data center's name")]);
  });

  it("is read from what Cassandra shows; other strategies and transient replicas do not pass [R12]", () => {
    const strategy = "org.apache.cassandra.locator.NetworkTopologyStrategy";
    expect(replicasOf({ class: strategy, a: "3", b: "1" })).toEqual(
      new Map([
        ["a", 3],
        ["b", 1],
      ]),
    );
    expect(replicasOf({ class: "org.apache.cassandra.locator.SimpleStrategy", replication_factor: "3" })).toEqual(new Map());
    expect(replicationFaults(replicasOf({ class: strategy, a: "3/1", b: "3/1", c: "3/1" }), "a")).not.toEqual([]);
  });
});
