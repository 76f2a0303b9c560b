import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MeridianError } from "../../src/kernel/errors.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type {
  Coordinator,
  Header,
  KeyValue,
  LeaseId,
  Put,
  RangeAnswer,
  Txn,
  TxnAnswer,
  WatchAnswer,
  WatchEvent,
} from "../../src/ports/coordinator.ts";
import { LateCoordinator } from "../support/late-coordinator.ts";

/** A fresh, empty coordinator and the time it lives in. */
export interface CoordinatorWorld {
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  /** Lets that much of the clock's time pass. */
  pass(durationMs: number): Promise<void>;
  /** Makes the coordinator forget what was before `revision`. */
  compact(revision: number): Promise<unknown>;
  close(): Promise<void>;
}

/** The shortest lease that every coordinator grants as asked: etcd makes 2 s of anything shorter. */
const TTL_MS = 2_000;

/** What every coordinator does, etcd included: only what the port promises is asked for. */
export function coordinatorContract(name: string, open: () => Promise<CoordinatorWorld>): void {
  describe(`the coordinator contract: ${name}`, () => {
    let world: CoordinatorWorld;
    let coordinator: Coordinator;

    beforeEach(async () => {
      world = await open();
      coordinator = world.coordinator;
    });
    afterEach(() => world.close());

    /** A read that also tells the present revision. */
    const read = (...ranges: NonNullable<Txn["ranges"]>) => answered(coordinator.txn({ ranges }));
    const get = async (key: string) => (await read({ key })).ranges[0]?.kvs[0];
    const write = (txn: Txn) => applied(coordinator.txn(txn));
    /** A lease ends some time after its TTL: how late is the coordinator's business, but not for ever. */
    const untilGone = async (key: string) => {
      for (let tries = 0; tries < 20 && (await get(key)) !== undefined; tries++) await world.pass(500);
      expect(await get(key)).toBeUndefined();
    };

    describe("transactions", () => {
      it("applies a write whose guard on absence, modRevision 0, holds, and refuses the same write a second time", async () => {
        const claim: Txn = { guards: [absent("a")], puts: [put("a", "first")] };
        const { header } = await write(claim);
        expect(await get("a")).toEqual({ key: "a", value: bytes("first"), modRevision: header.revision });
        expect(await coordinator.txn(claim)).toMatchObject({ status: "guard-failed" });
        expect(text(await get("a"))).toBe("first");
      });

      it("takes a guard's revision exactly: neither an older nor a newer one holds", async () => {
        const { revision } = (await write({ puts: [put("a", "1")] })).header;
        for (const modRevision of [0, revision - 1, revision + 1]) {
          const answer = await coordinator.txn({ guards: [{ key: "a", modRevision }], puts: [put("a", "2")] });
          expect(answer.status).toBe("guard-failed");
        }
        await write({ guards: [{ key: "a", modRevision: revision }], puts: [put("a", "2")] });
        expect(text(await get("a"))).toBe("2");
      });

      it("applies nothing unless every guard holds", async () => {
        const { revision } = (await write({ puts: [put("a", "1"), put("b", "1")] })).header;
        const answer = await coordinator.txn({
          guards: [{ key: "a", modRevision: revision }, absent("b")],
          puts: [put("c", "1")],
          deletes: ["a"],
        });
        expect(answer.status).toBe("guard-failed");
        expect(text(await get("a"))).toBe("1");
        expect(await get("c")).toBeUndefined();
      });

      it("lets exactly one of several transactions with the same guard win", async () => {
        const claims = ["x", "y", "z"].map((owner) => coordinator.txn({ guards: [absent("a")], puts: [put("a", owner)] }));
        const statuses = (await Promise.all(claims)).map((answer) => answer.status);
        expect(statuses.toSorted()).toEqual(["applied", "guard-failed", "guard-failed"]);
      });

      it("reads its ranges after its own puts and deletes", async () => {
        await write({ puts: [put("k/a", "old"), put("k/b", "old")] });
        const { header, ranges } = await write({
          puts: [put("k/a", "new"), put("k/c", "new")],
          deletes: ["k/b"],
          ranges: [{ key: "k/a" }, { key: "k/b" }, { prefix: "k/", limit: 10 }],
        });
        expect(ranges.map(texts)).toEqual([["k/a=new"], [], ["k/a=new", "k/c=new"]]);
        expect(ranges[2]?.kvs.map((kv) => kv.modRevision)).toEqual([header.revision, header.revision]);
      });

      it("reads its ranges also when a guard fails: the loser learns who won", async () => {
        await write({ puts: [put("a", "winner")] });
        const answer = await answered(
          coordinator.txn({ guards: [absent("a")], puts: [put("a", "loser")], ranges: [{ key: "a" }] }),
        );
        expect(answer.status).toBe("guard-failed");
        expect(answer.ranges.map(texts)).toEqual([["a=winner"]]);
      });

      it("applies a transaction without guard, put or delete as a plain read", async () => {
        await write({ puts: [put("a", "1")] });
        const answer = await coordinator.txn({ ranges: [{ key: "a" }, { key: "none" }] });
        expect(answer).toMatchObject({ status: "applied", ranges: [{ more: false }, { kvs: [], more: false }] });
      });

      it("keeps every byte of a value", async () => {
        const value = Uint8Array.from({ length: 256 }, (_, at) => at);
        await write({
          puts: [
            { key: "a", value },
            { key: "b", value: new Uint8Array() },
          ],
        });
        expect((await get("a"))?.value).toEqual(value);
        expect((await get("b"))?.value).toEqual(new Uint8Array());
      });
    });

    describe("revisions", () => {
      it("grow by one with each transaction that writes, however many keys it writes", async () => {
        const before = (await read()).header.revision;
        const first = await write({ puts: [put("a", "1"), put("b", "1")] });
        const second = await write({ puts: [put("c", "1")], deletes: ["a", "b"] });
        expect([first.header.revision, second.header.revision]).toEqual([before + 1, before + 2]);
      });

      it("do not grow with a read, a failed guard, a delete of nothing or a grant", async () => {
        const { revision } = (await write({ puts: [put("a", "1")] })).header;
        await coordinator.txn({ guards: [absent("a")], puts: [put("a", "2")] });
        await write({ deletes: ["none"] });
        const lease = await coordinator.grant(TTL_MS);
        await coordinator.renew(lease.lease);
        expect((await read({ key: "a" })).header.revision).toBe(revision);
      });

      it("change with a put of the same value: a put to itself makes an older guard fail for ever", async () => {
        const { revision } = (await write({ puts: [put("a", "1")] })).header;
        await write({ puts: [put("a", "1")] });
        expect((await coordinator.txn({ guards: [{ key: "a", modRevision: revision }], deletes: ["a"] })).status).toBe(
          "guard-failed",
        );
      });

      it("travel with every answer, beside one cluster and term", async () => {
        const lease = await coordinator.grant(TTL_MS);
        const headers: Header[] = [lease.header, (await coordinator.renew(lease.lease)).header, (await read()).header];
        expect(new Set(headers.map(({ cluster, term, revision }) => `${cluster} ${term} ${revision}`)).size).toBe(1);
        expect(headers[0]).toMatchObject({ cluster: expect.stringMatching(/./), term: expect.any(Number) });
      });
    });

    describe("pages of a prefix", () => {
      const keys = ["p/", "p/a", "p/a/b", "p/b", "p/é", "p/\uffe6", "p/😀"];

      beforeEach(() => write({ puts: [...keys, "o/z", "q", "p"].map((key) => put(key, "1")) }));

      it("hold the keys under it and no others, in the order of their UTF-8 bytes", async () => {
        const { ranges } = await read({ prefix: "p/", limit: 100 });
        expect(ranges[0]?.kvs.map((kv) => kv.key)).toEqual(keys);
        expect(ranges[0]?.more).toBe(false);
      });

      it("go on after the last key of the page before, and tell whether more follow", async () => {
        const pages: string[][] = [];
        let after: string | undefined;
        for (let more = true; more; ) {
          const page = (await read({ prefix: "p/", limit: 3, ...(after === undefined ? {} : { after }) }))
            .ranges[0] as RangeAnswer;
          pages.push(page.kvs.map((kv) => kv.key));
          after = page.kvs.at(-1)?.key;
          more = page.more;
        }
        expect(pages).toEqual([keys.slice(0, 3), keys.slice(3, 6), keys.slice(6)]);
      });

      it("tell that nothing follows when they end exactly at their limit", async () => {
        const [exact, short] = (await read({ prefix: "p/", limit: keys.length }, { prefix: "p/", limit: keys.length - 1 }))
          .ranges;
        expect([exact?.more, short?.more]).toEqual([false, true]);
      });

      it("take `after` as exclusive, whether that key exists, was deleted or lies outside the prefix", async () => {
        const firstAfter = async (key: string) => (await read({ prefix: "p/", after: key, limit: 1 })).ranges.flatMap(texts);
        expect(await firstAfter("p/a")).toEqual(["p/a/b=1"]);
        expect(await firstAfter("p/a/a")).toEqual(["p/a/b=1"]);
        expect(await firstAfter("o/z")).toEqual(["p/=1"]);
        expect(await firstAfter("q")).toEqual([]);
        await write({ deletes: ["p/a"] });
        expect(await firstAfter("p/a")).toEqual(["p/a/b=1"]);
      });

      it("show one state when all are read at the first page's revision, though keys change between", async () => {
        const first = await read({ prefix: "p/", limit: 3 });
        const { revision } = first.header;
        await write({ puts: [put("p/b", "changed"), put("p/c", "new")], deletes: ["p/é"] });
        await write({ deletes: ["p/\uffe6"] });
        await write({ puts: [put("p/\uffe6", "again")] });
        const second = await read({ prefix: "p/", after: "p/a/b", limit: 10, revision });
        expect(second.ranges.map(texts)).toEqual([["p/b=1", "p/é=1", "p/\uffe6=1", "p/😀=1"]]);
        expect(second.header.revision).toBe(revision + 3);
        const now = await read({ prefix: "p/", after: "p/a/b", limit: 10 });
        expect(now.ranges.map(texts)).toEqual([["p/b=changed", "p/c=new", "p/\uffe6=again", "p/😀=1"]]);
      });

      it("can be read at an older revision down to the compacted one, and below it not at all", async () => {
        const { revision } = (await read()).header;
        await write({ puts: [put("p/a", "2")], deletes: ["p/b"] });
        await write({ puts: [put("p/a", "3")], deletes: ["p/😀"] });
        await world.compact(revision + 1);
        const at = await read({ prefix: "p/", limit: 10, revision: revision + 1 });
        expect(at.ranges.map(texts)).toEqual([["p/=1", "p/a=2", "p/a/b=1", "p/é=1", "p/\uffe6=1", "p/😀=1"]]);
        expect(await coordinator.txn({ ranges: [{ prefix: "p/", limit: 10, revision }] })).toEqual({
          status: "not-applied",
          reason: "compacted",
        });
      });

      it("refuse a whole transaction, its puts too, when their revision is compacted", async () => {
        const { revision } = (await read()).header;
        await write({ puts: [put("p/a", "2")] });
        await write({ puts: [put("p/a", "3")] });
        await world.compact(revision + 1);
        const answer = await coordinator.txn({ puts: [put("p/a", "4")], ranges: [{ prefix: "p/", limit: 1, revision }] });
        expect(answer).toEqual({ status: "not-applied", reason: "compacted" });
        expect(text(await get("p/a"))).toBe("3");
      });
    });

    describe("leases", () => {
      it("delete their keys when they end, and no others", async () => {
        const { lease, ttlMs } = await coordinator.grant(TTL_MS);
        expect(ttlMs).toBe(TTL_MS);
        await write({ puts: [put("mine", "1", lease), put("free", "1")] });
        expect((await get("mine"))?.lease).toBe(lease);
        await untilGone("mine");
        expect(text(await get("free"))).toBe("1");
      });

      it("live at least their TTL, from the grant and from each renewal on", async () => {
        const { lease } = await coordinator.grant(TTL_MS);
        await write({ puts: [put("mine", "1", lease)] });
        for (let renewals = 0; renewals < 3; renewals++) {
          await world.pass(TTL_MS * 0.75);
          expect(await coordinator.renew(lease)).toMatchObject({ lease, ttlMs: TTL_MS });
        }
        await world.pass(TTL_MS * 0.75);
        expect(text(await get("mine"))).toBe("1");
        await untilGone("mine");
      });

      it("that ended stay ended: a renewal answers ttlMs 0", async () => {
        const { lease } = await coordinator.grant(TTL_MS);
        await write({ puts: [put("mine", "1", lease)] });
        await untilGone("mine");
        expect(await coordinator.renew(lease)).toMatchObject({ lease, ttlMs: 0 });
      });

      it("have ids that no other lease gets", async () => {
        const first = await coordinator.grant(TTL_MS);
        await coordinator.revoke(first.lease);
        const others = await Promise.all([coordinator.grant(TTL_MS), coordinator.grant(TTL_MS)]);
        expect(new Set([first, ...others].map((answer) => answer.lease)).size).toBe(3);
      });

      it("end at once when revoked, with all their keys in one revision", async () => {
        const { lease } = await coordinator.grant(60_000);
        const { revision } = (await write({ puts: [put("a", "1", lease), put("b", "1", lease)] })).header;
        await coordinator.revoke(lease);
        const after = await read({ prefix: "", limit: 10 });
        expect(after.ranges[0]?.kvs).toEqual([]);
        expect(after.header.revision).toBe(revision + 1);
        expect((await coordinator.renew(lease)).ttlMs).toBe(0);
      });

      it("may be revoked again: nothing happens", async () => {
        const { lease } = await coordinator.grant(60_000);
        await coordinator.revoke(lease);
        const { revision } = (await read()).header;
        await coordinator.revoke(lease);
        expect((await read()).header.revision).toBe(revision);
      });

      it("let a key go that is put again without a lease or with another", async () => {
        const [first, second] = [await coordinator.grant(60_000), await coordinator.grant(60_000)];
        await write({ puts: [put("a", "1", first.lease), put("b", "1", first.lease)] });
        await write({ puts: [put("a", "2"), put("b", "2", second.lease)] });
        await coordinator.revoke(first.lease);
        expect([text(await get("a")), text(await get("b"))]).toEqual(["2", "2"]);
        expect((await get("a"))?.lease).toBeUndefined();
        await coordinator.revoke(second.lease);
        expect([text(await get("a")), await get("b")]).toEqual(["2", undefined]);
      });

      it("let a key go that is deleted: put again without a lease it stays", async () => {
        const { lease } = await coordinator.grant(60_000);
        await write({ puts: [put("a", "1", lease)] });
        await write({ deletes: ["a"] });
        await write({ puts: [put("a", "2")] });
        await coordinator.revoke(lease);
        expect(text(await get("a"))).toBe("2");
      });

      it("that ended take no key: the whole transaction is definitely not applied", async () => {
        const { lease } = await coordinator.grant(60_000);
        await coordinator.revoke(lease);
        const { revision } = (await read()).header;
        expect(await coordinator.txn({ puts: [put("a", "1"), put("b", "1", lease)] })).toEqual({
          status: "not-applied",
          reason: "lease-not-found",
        });
        const after = await read({ prefix: "", limit: 10 });
        expect([after.ranges[0]?.kvs, after.header.revision]).toEqual([[], revision]);
      });

      it("that ended do not hide a failed guard", async () => {
        const { lease } = await coordinator.grant(60_000);
        await coordinator.revoke(lease);
        await write({ puts: [put("a", "1")] });
        const answer = await coordinator.txn({ guards: [absent("a")], puts: [put("a", "2", lease)], ranges: [{ key: "a" }] });
        expect(answer.status).toBe("guard-failed");
      });
    });

    describe("watches", () => {
      const events = (prefix: string, fromRevision: number, count: number) =>
        collect(coordinator.watch(prefix, fromRevision), count);

      it("replay what happened from a past revision on, that revision included", async () => {
        await write({ puts: [put("a", "0")] });
        const { revision } = (await write({ puts: [put("a", "1"), put("b", "1")] })).header;
        await write({ deletes: ["a"] });
        await write({ puts: [put("a", "2")] });
        expect(await events("", revision, 4)).toEqual([
          `${revision} a=1`,
          `${revision} b=1`,
          `${revision + 1} a deleted`,
          `${revision + 2} a=2`,
        ]);
      });

      it("go on with what happens later, without a gap and without a repeat", async () => {
        const { revision } = (await write({ puts: [put("a", "0")] })).header;
        const seen = events("", revision, 7);
        for (let at = 1; at <= 3; at++) await write({ puts: [put("a", `${at}`)] });
        // Writes that are under way together may be applied in any order; their answers tell which it was.
        const together = [4, 5, 6].map(async (at) => {
          const { header } = await write({ puts: [put("a", `${at}`)] });
          return `${header.revision} a=${at}`;
        });
        const after = (await Promise.all(together)).toSorted();
        expect(await seen).toEqual([...[0, 1, 2, 3].map((at) => `${revision + at} a=${at}`), ...after]);
      });

      it("show nothing from before a revision that is still to come", async () => {
        const { revision } = (await read()).header;
        const seen = events("", revision + 2, 1);
        await write({ puts: [put("a", "1")] });
        await write({ puts: [put("a", "2")] });
        expect(await seen).toEqual([`${revision + 2} a=2`]);
      });

      it("show the keys under their prefix and no others", async () => {
        const { revision } = (await read()).header;
        const live = events("p/", revision + 1, 2);
        await write({ puts: [put("p", "no"), put("p/a", "yes"), put("q/", "no")] });
        await write({ deletes: ["p", "p/a"] });
        const expected = [`${revision + 1} p/a=yes`, `${revision + 2} p/a deleted`];
        expect(await live).toEqual(expected);
        expect(await events("p/", revision + 1, 2)).toEqual(expected);
      });

      it("show a put's lease, and the deletions when the lease ends", async () => {
        const { lease } = await coordinator.grant(TTL_MS);
        const { revision } = (await write({ puts: [put("a", "1", lease)] })).header;
        const watch = coordinator.watch("a", revision)[Symbol.asyncIterator]();
        expect((await watch.next()).value?.events).toEqual([
          { type: "put", kv: { key: "a", value: bytes("1"), modRevision: revision, lease } },
        ]);
        await untilGone("a");
        expect((await watch.next()).value?.events).toEqual([{ type: "delete", key: "a", modRevision: revision + 1 }]);
        await watch.return?.();
      });

      it("show a revoked lease's keys deleted in one revision", async () => {
        const { lease } = await coordinator.grant(60_000);
        const { revision } = (await write({ puts: [put("a", "1", lease), put("b", "1", lease)] })).header;
        await coordinator.revoke(lease);
        expect(await events("", revision + 1, 2)).toEqual([`${revision + 1} a deleted`, `${revision + 1} b deleted`]);
      });

      it("carry a header whose revision is never behind their events", async () => {
        const { revision } = (await read()).header;
        for (let at = 0; at < 3; at++) await write({ puts: [put("a", `${at}`)] });
        for await (const answer of coordinator.watch("a", revision + 1)) {
          const newest = Math.max(...answer.events.map(revisionOf));
          expect(answer.header.revision).toBeGreaterThanOrEqual(newest);
          if (newest === revision + 3) break;
        }
      });

      it("from a compacted revision throw TRUNCATED, above it they work", async () => {
        const { revision } = (await write({ puts: [put("a", "1")] })).header;
        await write({ puts: [put("a", "2")] });
        await write({ puts: [put("a", "3")] });
        await world.compact(revision + 1);
        await expect(events("a", revision, 1)).rejects.toMatchObject({ code: "TRUNCATED" });
        expect(await events("a", revision + 2, 1)).toEqual([`${revision + 2} a=3`]);
      });

      it("that are open do not mind a compaction", async () => {
        const { revision } = (await write({ puts: [put("a", "1")] })).header;
        const watch = coordinator.watch("a", revision)[Symbol.asyncIterator]();
        await watch.next();
        await write({ puts: [put("a", "2")] });
        await watch.next();
        await world.compact(revision + 1);
        await write({ puts: [put("a", "3")] });
        expect((await watch.next()).value?.events.map(line)).toEqual([`${revision + 2} a=3`]);
        await watch.return?.();
      });

      it("end when their loop is left, and when their iterator is returned while it waits", async () => {
        const { revision } = (await write({ puts: [put("a", "1")] })).header;
        const left = coordinator.watch("a", revision);
        for await (const answer of left) {
          expect(answer.events.map(line)).toEqual([`${revision} a=1`]);
          break;
        }
        const waiting = coordinator.watch("a", revision + 1)[Symbol.asyncIterator]();
        const next = waiting.next();
        await waiting.return?.();
        expect(await next).toEqual({ done: true, value: undefined });
        await write({ puts: [put("a", "2")] });
        expect(await waiting.next()).toEqual({ done: true, value: undefined });
      });
    });

    describe("transactions without an answer", () => {
      let late: LateCoordinator;

      beforeEach(() => {
        late = new LateCoordinator(coordinator, world.clock);
      });

      it("are applied when they land and their guards still hold, whatever else has changed", async () => {
        const { revision } = (await write({ puts: [put("a", "1")] })).header;
        const lost = late.loseNext({ held: true });
        const move: Txn = { guards: [{ key: "a", modRevision: revision }, absent("b")], puts: [put("b", "late")] };
        expect((await late.txn(move)).status).toBe("unknown");
        await write({ puts: [put("c", "1")] });
        expect((await lost.land()).status).toBe("applied");
        expect(text(await get("b"))).toBe("late");
      });

      it("land by themselves, long after their sender gave up", async () => {
        const lost = late.loseNext({ applyAfterMs: 1_000 });
        expect((await late.txn({ guards: [absent("a")], puts: [put("a", "late")] })).status).toBe("unknown");
        expect(await get("a")).toBeUndefined();
        await world.pass(1_500);
        expect((await lost.landed).status).toBe("applied");
        expect(text(await get("a"))).toBe("late");
      });

      it("may have been applied at once: only the answer was lost", async () => {
        const lost = late.loseNext({ applyAfterMs: 0 });
        expect((await late.txn({ puts: [put("a", "1")] })).status).toBe("unknown");
        await lost.landed;
        expect(text(await get("a"))).toBe("1");
      });

      it("prove nothing by a read that does not show them: they may land after it", async () => {
        const lost = late.loseNext({ held: true });
        await late.txn({ guards: [absent("a")], puts: [put("a", "late")] });
        for (let reads = 0; reads < 3; reads++) expect(await get("a")).toBeUndefined();
        expect((await lost.land()).status).toBe("applied");
        expect(text(await get("a"))).toBe("late");
      });

      it("can never be applied once another write has changed one of their guards, even back to the same value", async () => {
        const { revision } = (await write({ puts: [put("owner", "me"), put("home", "here")] })).header;
        const guards = [
          { key: "owner", modRevision: revision },
          { key: "home", modRevision: revision },
        ];
        const lost = late.loseNext({ held: true });
        await late.txn({ guards, puts: [put("home", "there")] });
        await write({ guards, puts: [put("home", "here")] });
        await write({ puts: [put("home", "elsewhere")] });
        await write({ puts: [put("home", "here")] });
        expect((await lost.land()).status).toBe("guard-failed");
        expect(text(await get("home"))).toBe("here");
      });

      it("can never be applied once their key was put that they guard as absent, but can again after its deletion", async () => {
        const [first, second] = [late.loseNext({ held: true }), late.loseNext({ held: true })];
        const claim: Txn = { guards: [absent("a")], puts: [put("a", "late")] };
        await late.txn(claim);
        await late.txn(claim);
        await write({ puts: [put("a", "settled")] });
        expect((await first.land()).status).toBe("guard-failed");
        await write({ deletes: ["a"] });
        expect((await second.land()).status).toBe("applied");
      });

      it("can never be applied once the lease of one of their puts has ended", async () => {
        const { lease } = await coordinator.grant(60_000);
        const lost = late.loseNext({ held: true });
        await late.txn({ guards: [absent("a")], puts: [put("a", "late", lease)] });
        await coordinator.revoke(lease);
        expect(await lost.land()).toEqual({ status: "not-applied", reason: "lease-not-found" });
        expect(await get("a")).toBeUndefined();
      });

      it("are settled by the same guards: either the lost write stands or the settling one does, and never both", async () => {
        for (const landsFirst of [true, false]) {
          const key = `home-${landsFirst}`;
          const lost = late.loseNext({ held: true });
          await late.txn({ guards: [absent(key)], puts: [put(key, "moved")] });
          if (landsFirst) await lost.land();
          const settled = await answered(
            coordinator.txn({ guards: [absent(key)], puts: [put(key, "stays")], ranges: [{ key }] }),
          );
          if (!landsFirst) await lost.land();
          expect(settled.status).toBe(landsFirst ? "guard-failed" : "applied");
          expect(settled.ranges.map(texts)).toEqual([[`${key}=${landsFirst ? "moved" : "stays"}`]]);
          expect(text(await get(key))).toBe(landsFirst ? "moved" : "stays");
        }
      });
    });
  });
}

type Answered = Exclude<TxnAnswer, { status: "not-applied" | "unknown" }>;

async function answered(answer: Promise<TxnAnswer>): Promise<Answered> {
  const given = await answer;
  if (given.status === "applied" || given.status === "guard-failed") return given;
  throw new MeridianError("INTERNAL", `the coordinator answered ${given.status}`, { cause: given });
}

async function applied(answer: Promise<TxnAnswer>): Promise<Answered> {
  const given = await answered(answer);
  expect(given.status).toBe("applied");
  return given;
}

async function collect(watch: AsyncIterable<WatchAnswer>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const answer of watch) {
    seen.push(...answer.events.map(line));
    if (seen.length >= count) break;
  }
  return seen;
}

function line(event: WatchEvent): string {
  const what = event.type === "put" ? `${event.kv.key}=${text(event.kv)}` : `${event.key} deleted`;
  return `${revisionOf(event)} ${what}`;
}

function revisionOf(event: WatchEvent): number {
  return event.type === "put" ? event.kv.modRevision : event.modRevision;
}

function absent(key: string) {
  return { key, modRevision: 0 };
}

function put(key: string, value: string, lease?: LeaseId): Put {
  return lease === undefined ? { key, value: bytes(value) } : { key, value: bytes(value), lease };
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(kv: KeyValue | undefined): string | undefined {
  return kv === undefined ? undefined : new TextDecoder().decode(kv.value);
}

function texts(range: RangeAnswer): string[] {
  return range.kvs.map((kv) => `${kv.key}=${text(kv)}`);
}
