import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../../sim/clock.ts";
import { LmdbCoordinator } from "../../../../src/adapters/lmdb/coordinator.ts";
import { Database, type Transaction } from "../../../../src/adapters/lmdb/database.ts";
import type { KeySpaceStore } from "../../../../src/adapters/lmdb/key-space-table.ts";
import { Deferred } from "../../../../src/kernel/deferred.ts";
import { MeridianError } from "../../../../src/kernel/errors.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { Coordinator, LeaseId, Txn } from "../../../../src/ports/coordinator.ts";

/** A database whose disk stops, fails or loses its answers on order. */
class FaultyStore implements KeySpaceStore {
  readonly #database: Database;
  #gate: Deferred<void> | undefined;
  #fault: "none" | "before" | "after" = "none";
  writes = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Nothing more reaches the disk until the answer is called. */
  hold(): () => void {
    const gate = new Deferred<void>();
    this.#gate = gate;
    return () => {
      this.#gate = undefined;
      gate.resolve();
    };
  }

  /** before: what comes is not written. after: it is written, but said not to be. */
  fault(fault: "none" | "before" | "after"): void {
    this.#fault = fault;
  }

  async transaction<T>(work: (transaction: Transaction) => T, bytes?: number): Promise<T> {
    await this.#gate?.promise;
    const fault = this.#fault;
    if (fault === "before") throw new MeridianError("UNAVAILABLE", "the disk is full");
    let wrote = false;
    const answer = await this.#database.transaction((transaction) => {
      const counting: Transaction = {
        get: (...of) => transaction.get(...of),
        range: (...of) => transaction.range(...of),
        keys: (...of) => transaction.keys(...of),
        put: (...of) => {
          wrote = true;
          transaction.put(...of);
        },
        remove: (...of) => transaction.remove(...of),
      };
      return work(counting);
    }, bytes);
    if (wrote) this.writes += 1;
    if (fault === "after") throw new MeridianError("UNAVAILABLE", "the disk did not answer");
    return answer;
  }
}

const put = (key: string, lease?: LeaseId): Txn => {
  const value = new TextEncoder().encode(key);
  return { puts: [lease === undefined ? { key, value } : { key, value, lease }] };
};

/** The keys with their revisions, and the revision of the whole. */
async function state(coordinator: Coordinator): Promise<string> {
  const answer = await coordinator.txn({ ranges: [{ prefix: "", limit: 100 }] });
  if (answer.status !== "applied") return answer.status;
  const kvs = (answer.ranges[0]?.kvs ?? []).map((kv) => `${kv.key}@${kv.modRevision}`);
  return `${kvs.join(" ")} at ${answer.header.revision}`;
}

/** Real I/O that is under way has ended: a round through the database's own queue. */
async function diskIsIdle(database: Database): Promise<void> {
  for (let rounds = 0; rounds < 3; rounds++) await database.transaction(() => {});
}

describe("the LMDB coordinator", () => {
  let directory: string;
  let database: Database;
  let store: FaultyStore;
  let clock: VirtualClock;
  let coordinator: LmdbCoordinator;

  const lost: MeridianError[] = [];
  const openDatabase = () => Database.open(directory, { onOwnerLost: (error) => lost.push(error) });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "meridian-coordinator-"));
    lost.length = 0;
    database = await openDatabase();
    store = new FaultyStore(database);
    clock = new VirtualClock();
    coordinator = await LmdbCoordinator.open(store, clock);
  });

  afterEach(async () => {
    await coordinator.close();
    await database.close();
    await rm(directory, { recursive: true });
  });

  it("keeps keys, values and revisions over a restart, and goes on counting above them", async () => {
    await coordinator.txn(put("workers/7/fence"));
    await coordinator.txn(put("homes/eu/3/standup"));
    await coordinator.txn({ ...put("workers/7/fence"), deletes: ["homes/eu/3/standup"] });
    expect(await state(coordinator)).toBe("workers/7/fence@4 at 4");
    await coordinator.close();
    await database.close();
    database = await openDatabase();
    coordinator = await LmdbCoordinator.open(database, clock);
    expect(await state(coordinator)).toBe("workers/7/fence@4 at 5");
    expect(
      await coordinator.txn({ guards: [{ key: "workers/7/fence", modRevision: 4 }], ...put("workers/7/fence") }),
    ).toMatchObject({
      status: "applied",
      header: { revision: 6 },
    });
    expect(await coordinator.txn({ ranges: [{ key: "workers/7/fence" }] })).toMatchObject({
      ranges: [{ kvs: [{ value: new TextEncoder().encode("workers/7/fence") }] }],
    });
  });

  it("drops former leases at a restart with all their keys, in one revision, and never gives their ids again", async () => {
    const { lease } = await coordinator.grant(60_000);
    await coordinator.txn({ puts: [...(put("a", lease).puts ?? []), ...(put("b", lease).puts ?? [])] });
    await coordinator.txn(put("c", lease));
    await coordinator.txn(put("d"));
    const next = await LmdbCoordinator.open(database, clock);
    expect(await state(next)).toBe("d@4 at 5");
    const stored = [...database.range("coordinator", Buffer.from([1]))].map(({ key }) => Buffer.from(key).toString());
    expect(stored).toEqual(["\u0001d"]);
    expect((await next.renew(lease)).ttlMs).toBe(0);
    expect(await next.txn(put("e", lease))).toEqual({ status: "not-applied", reason: "lease-not-found" });
    expect((await next.grant(60_000)).lease).not.toBe(lease);
    await next.close();
  });

  it("keeps a key whose lease was taken off it before the restart, and drops one that was put on a lease", async () => {
    const { lease } = await coordinator.grant(60_000);
    await coordinator.txn(put("freed", lease));
    await coordinator.txn(put("leased"));
    await coordinator.txn({ puts: [...(put("freed").puts ?? []), ...(put("leased", lease).puts ?? [])] });
    const next = await LmdbCoordinator.open(database, clock);
    expect(await state(next)).toBe("freed@4 at 5");
    await next.close();
  });

  it("compacts at a restart: whoever watched before lists again", async () => {
    await coordinator.txn(put("a"));
    const next = await LmdbCoordinator.open(database, clock);
    await expect(next.watch("", 2)[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "TRUNCATED" });
    const watch = next.watch("", 4)[Symbol.asyncIterator]();
    await next.txn(put("b"));
    expect((await watch.next()).value?.header.revision).toBe(4);
    await next.close();
  });

  it("answers nobody and shows nothing before the disk has it: not the writer, nor a reader, a renewal or a watch", async () => {
    const { lease } = await coordinator.grant(60_000);
    const order: string[] = [];
    const noted = async (what: string, work: Promise<unknown>) => {
      await work;
      order.push(what);
    };
    const release = store.hold();
    const calls = [
      noted("watch", coordinator.watch("", 2)[Symbol.asyncIterator]().next()),
      noted("write", coordinator.txn(put("a"))),
      noted("read", coordinator.txn({ ranges: [{ key: "a" }] })),
      noted("renewal", coordinator.renew(lease)),
      noted("grant", coordinator.grant(60_000)),
      noted("second write", coordinator.txn(put("b"))),
      noted("second read", coordinator.txn({ ranges: [{ key: "b" }] })),
      noted("late watch", coordinator.watch("", 2)[Symbol.asyncIterator]().next()),
    ];
    await diskIsIdle(database);
    expect(order).toEqual([]);
    release();
    await Promise.all(calls);
    const at = (what: string) => order.indexOf(what);
    expect(at("write")).toBeLessThan(at("read"));
    expect(at("write")).toBeLessThan(at("second write"));
    expect(at("second write")).toBeLessThanOrEqual(at("second read"));
  });

  it("saves what comes during one save together in the next", async () => {
    const before = store.writes;
    const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => coordinator.txn(put(`${at % 10}`))));
    expect(answers.map((answer) => "header" in answer && answer.header.revision)).toEqual(answers.map((_, at) => at + 2));
    expect(store.writes - before).toBe(2);
    const next = await LmdbCoordinator.open(database, clock);
    expect(await state(next)).toBe(`${Array.from({ length: 10 }, (_, at) => `${at}@${at + 42}`).join(" ")} at 52`);
    await next.close();
  });

  it("loses by a crash what had no answer yet, and nothing else", async () => {
    await coordinator.txn(put("answered"));
    const release = store.hold();
    const unanswered = coordinator.txn(put("unanswered"));
    const next = await LmdbCoordinator.open(database, clock);
    expect(await state(next)).toBe("answered@2 at 3");
    await next.close();
    store.fault("before");
    release();
    expect((await unanswered).status).toBe("unknown");
  });

  for (const fault of ["before", "after"] as const) {
    it(`answers unknown when a save fails ${fault} it was written, refuses all calls, and saves it later all the same`, async () => {
      const { lease } = await coordinator.grant(60_000);
      const watch = coordinator.watch("", 2)[Symbol.asyncIterator]();
      store.fault(fault);
      const answers = await Promise.all([coordinator.txn(put("a")), coordinator.txn(put("b", lease)), coordinator.txn({})]);
      expect(answers.map((answer) => answer.status)).toEqual(["unknown", "unknown", "unknown"]);
      expect(await coordinator.txn(put("c"))).toEqual({ status: "not-applied", reason: "busy" });
      await expect(coordinator.renew(lease)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(coordinator.grant(1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(coordinator.revoke(lease)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      store.fault("none");
      const seen = watch.next();
      await clock.advance(LIMITS.coordinatorSaveRetryMs);
      expect((await seen).value?.events).toMatchObject([{ kv: { key: "a", modRevision: 2 } }]);
      expect((await watch.next()).value?.events).toMatchObject([{ kv: { key: "b", modRevision: 3 } }]);
      expect((await coordinator.txn(put("c"))).status).toBe("applied");
      const next = await LmdbCoordinator.open(database, clock);
      expect(await state(next)).toBe("a@2 c@4 at 5");
      await next.close();
    });
  }

  it("never writes an older state over a newer one, though a save that was given up lands late", async () => {
    const givenUp: (() => Promise<unknown>)[] = [];
    let givesUp = false;
    const slow: KeySpaceStore = {
      transaction: (work, bytes) => {
        if (!givesUp) return store.transaction(work, bytes);
        givenUp.push(() => store.transaction(work, bytes));
        return Promise.reject(new MeridianError("UNAVAILABLE", "no answer"));
      },
    };
    const other = await LmdbCoordinator.open(slow, clock);
    givesUp = true;
    expect((await other.txn(put("a"))).status).toBe("unknown");
    givesUp = false;
    await clock.advance(LIMITS.coordinatorSaveRetryMs);
    await diskIsIdle(database);
    expect((await other.txn({ deletes: ["a"] })).status).toBe("applied");
    await other.close();
    expect(givenUp).toHaveLength(1);
    for (const land of givenUp) await land();
    const next = await LmdbCoordinator.open(database, clock);
    expect(await state(next)).toBe(" at 5");
    await next.close();
  });

  it("ends all watches and refuses all calls once closed, after it has saved what was applied", async () => {
    const watch = coordinator.watch("", 3)[Symbol.asyncIterator]();
    const next = watch.next();
    const write = coordinator.txn(put("a"));
    await coordinator.close();
    expect((await write).status).toBe("applied");
    await expect(next).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await coordinator.txn(put("b"))).toEqual({ status: "not-applied", reason: "busy" });
    await expect(coordinator.grant(1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("closes although the disk fails: who waits is told unknown", async () => {
    store.fault("before");
    const write = coordinator.txn(put("a"));
    await coordinator.close();
    expect((await write).status).toBe("unknown");
  });

  it("answers no read and no renewal from memory once another start owns the directory", async () => {
    const { lease } = await coordinator.grant(60_000);
    const successor = await openDatabase();
    await expect(coordinator.renew(lease)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect((await coordinator.txn({ ranges: [{ key: "a" }] })).status).toBe("unknown");
    expect(lost).toHaveLength(1);
    await successor.close();
  });
});
