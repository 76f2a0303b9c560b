import { describe, expect, it } from "vitest";
import { KeySpace } from "../../../../src/adapters/memory/key-space.ts";
import { compareKeys, SortedKeys } from "../../../../src/adapters/memory/sorted-keys.ts";
import { MeridianError } from "../../../../src/kernel/errors.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { Txn } from "../../../../src/ports/coordinator.ts";

const value = new Uint8Array([1]);
const put = (...keys: string[]): Txn => ({ puts: keys.map((key) => ({ key, value })) });
const list: Txn = { ranges: [{ prefix: "", limit: 100 }] };

/** The keys as the space shows them at `revision`, or its refusal. */
function keysAt(space: KeySpace, revision: number): string {
  const outcome = space.txn({ ranges: [{ prefix: "", limit: 100, revision }] });
  if (outcome.status === "not-applied") return outcome.reason;
  return (outcome.ranges[0]?.kvs ?? []).map((kv) => `${kv.key}@${kv.modRevision}`).join(" ");
}

describe("the key space", () => {
  it("refuses a transaction that names a key twice or none, or that is too large in any way, as etcd does", () => {
    const space = new KeySpace();
    const keys = Array.from({ length: LIMITS.coordinatorTxnOperations }, (_, at) => `${at}`);
    const longKey = "k".repeat(LIMITS.coordinatorKeyBytes);
    const largeValue = { key: longKey, value: new Uint8Array(LIMITS.coordinatorTxnBytes - longKey.length) };
    const refusal = (txn: Txn) => {
      try {
        return space.txn(txn).status;
      } catch (error) {
        return MeridianError.from(error).code;
      }
    };
    expect([put("a", "a"), { ...put("a"), deletes: ["a"] }, put("")].map(refusal)).toEqual(Array(3).fill("INVALID_ARGUMENT"));
    const tooLarge: Txn[] = [
      { ...put(...keys), deletes: ["x"] },
      { guards: [...keys, "x"].map((key) => ({ key, modRevision: 0 })) },
      put(`${longKey}k`),
      { puts: [largeValue, { key: "a", value: new Uint8Array() }] },
    ];
    expect(tooLarge.map(refusal)).toEqual(Array(4).fill("TOO_LARGE"));
    expect(space.revision).toBe(1);
    const guards = keys.map((key) => ({ key, modRevision: 0 }));
    expect([{ ...put(...keys), guards }, { puts: [largeValue] }].map((txn) => space.txn(txn).status)).toEqual([
      "applied",
      "applied",
    ]);
  });

  it("keeps a value as it was put, though the caller uses its buffer again", () => {
    const space = new KeySpace();
    const buffer = Buffer.from([1, 2, 3]);
    space.txn({ puts: [{ key: "a", value: buffer }] });
    buffer.fill(0);
    expect(space.txn({ ranges: [{ key: "a" }] })).toMatchObject({ ranges: [{ kvs: [{ value: new Uint8Array([1, 2, 3]) }] }] });
  });

  it("deletes a key once, however often the transaction names it", () => {
    const space = new KeySpace();
    space.txn(put("a"));
    expect(space.txn({ deletes: ["a", "b", "a"] })).toMatchObject({
      change: { revision: 3, events: [{ type: "delete", key: "a", modRevision: 3 }] },
    });
  });

  it("refuses a revision that it has not reached: its reader has met another past", () => {
    const space = new KeySpace();
    expect(keysAt(space, 1)).toBe("");
    expect(keysAt(space, 2)).toBe("compacted");
  });

  it("bounds its history: the oldest changes are forgotten, and exactly the kept ones can be watched and read", () => {
    const space = new KeySpace({ historyChanges: 3 });
    for (let at = 2; at <= 6; at++) space.txn(put(at % 2 === 0 ? "even" : "odd"));
    expect(space.changesFrom(2)).toHaveLength(5);
    space.txn({ deletes: ["even"] });
    expect(space.changesFrom(4)).toBe("compacted");
    expect(space.changesFrom(5)).toMatchObject([{ revision: 5 }, { revision: 6 }, { revision: 7 }]);
    expect([3, 4, 5, 6, 7].map((revision) => keysAt(space, revision))).toEqual([
      "compacted",
      "even@4 odd@3",
      "even@4 odd@5",
      "even@6 odd@5",
      "odd@5",
    ]);
  });

  it("forgets a deleted key wholly once its deletion is compacted", () => {
    const space = new KeySpace();
    space.txn(put("a", "b"));
    space.txn({ deletes: ["a"] });
    space.txn(put("c"));
    expect(space.keysHeld).toBe(3);
    space.compact(3);
    expect(space.keysHeld).toBe(2);
    expect(keysAt(space, 3)).toBe("b@2");
    space.txn({ ...put("a"), guards: [{ key: "a", modRevision: 0 }] });
    expect(keysAt(space, 5)).toBe("a@5 b@2 c@4");
    expect(keysAt(space, 4)).toBe("b@2 c@4");
  });

  it("ends due leases each in a revision of its own, and leases without keys in none", () => {
    const space = new KeySpace();
    const [first, second, third] = [space.grant(100, 0), space.grant(100, 0), space.grant(300, 0)];
    space.grant(100, 0);
    space.txn({ puts: [first, second, third].map((lease) => ({ key: lease, value, lease })) });
    expect(space.nextExpiryMs()).toBe(100);
    expect(space.expire(99)).toEqual([]);
    expect(space.expire(100).map((change) => change.revision)).toEqual([3, 4]);
    expect(keysAt(space, space.revision)).toBe(`${third}@2`);
    expect(space.nextExpiryMs()).toBe(300);
  });

  it("goes on from stored keys: revisions above the stored one, its leases' ids new, the past before it compacted", () => {
    const former = new KeySpace();
    former.txn(put("a"));
    const lease = former.grant(100, 0);
    const space = new KeySpace({ start: { revision: 7, kvs: [{ key: "a", value, modRevision: 2 }] } });
    expect([keysAt(space, 7), keysAt(space, 6), space.changesFrom(7)]).toEqual(["a@2", "compacted", "compacted"]);
    expect(space.changesFrom(8)).toEqual([]);
    expect(space.grant(100, 0)).not.toBe(lease);
    space.txn(put("b"));
    expect(keysAt(space, 8)).toBe("a@2 b@8");
  });

  it("gives the same answers whether history was cut or not", () => {
    const [long, short] = [new KeySpace(), new KeySpace({ historyChanges: 2 })];
    for (let at = 0; at < 200; at++) {
      const key = `${(at * 7919) % 13}`;
      const txn = at % 3 === 0 ? { deletes: [key] } : put(key);
      expect(short.txn({ ...txn, ...list })).toEqual(long.txn({ ...txn, ...list }));
    }
  });
});

describe("sorted keys", () => {
  it("stand in the order of their UTF-8 bytes, not of their UTF-16 units", () => {
    const keys = ["", "a", "a\u0000", "ab", "b", "é", "\ud7ff", "\ue000", "\uffee", "\u{10000}", "😀", "😀a", "\u{10ffff}"];
    const byBytes = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(byBytes).toEqual(keys);
    expect(keys.toReversed().sort(compareKeys)).toEqual(byBytes);
    const sorted = new SortedKeys();
    for (const key of [...keys.toReversed(), "a"]) sorted.add(key);
    expect([...sorted.under("", undefined)]).toEqual(keys);
    sorted.remove("a");
    expect([...sorted.under("a", undefined)]).toEqual(["a\u0000", "ab"]);
    expect([...sorted.under("a", "a\u0000")]).toEqual(["ab"]);
  });
});
