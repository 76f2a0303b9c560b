import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../../sim/clock.ts";
import { MemoryCoordinator } from "../../../../src/adapters/memory/coordinator.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";

const value = new Uint8Array();
const putA = { puts: [{ key: "a", value }] };

describe("the memory coordinator", () => {
  it("ends a watch whose loop is too slow with TRUNCATED, after the changes that it had room for [G9]", async () => {
    const coordinator = new MemoryCoordinator({ clock: new VirtualClock() });
    const watch = coordinator.watch("a", 2)[Symbol.asyncIterator]();
    for (let at = 0; at <= LIMITS.coordinatorWatchQueue; at++) await coordinator.txn(putA);
    expect(coordinator.watches).toBe(0);
    for (let at = 0; at < LIMITS.coordinatorWatchQueue; at++) expect((await watch.next()).done).toBe(false);
    await expect(watch.next()).rejects.toMatchObject({ code: "TRUNCATED" });
  });

  it("lets go of a watch whose loop is left, ends by an error or is returned while it waits", async () => {
    const coordinator = new MemoryCoordinator({ clock: new VirtualClock() });
    await coordinator.txn(putA);
    for await (const answer of coordinator.watch("a", 2)) {
      expect(coordinator.watches).toBe(1);
      if (answer.events.length > 0) break;
    }
    expect(coordinator.watches).toBe(0);
    const failing = async () => {
      for await (const answer of coordinator.watch("a", 2)) throw new Error(`${answer.events.length} events`);
    };
    await expect(failing()).rejects.toThrow("1 events");
    expect(coordinator.watches).toBe(0);
    const unread = coordinator.watch("a", 2)[Symbol.asyncIterator]();
    await unread.return?.();
    expect(await unread.next()).toEqual({ done: true, value: undefined });
    const waiting = coordinator.watch("a", 3)[Symbol.asyncIterator]();
    void waiting.next();
    expect(coordinator.watches).toBe(1);
    await waiting.return?.();
    expect(coordinator.watches).toBe(0);
  });

  it("begins a watch far back with one answer that holds the whole past", async () => {
    const coordinator = new MemoryCoordinator({ clock: new VirtualClock() });
    const changes = LIMITS.coordinatorWatchQueue * 2;
    for (let at = 0; at < changes; at++) await coordinator.txn(putA);
    const { value: answer } = await coordinator.watch("a", 2)[Symbol.asyncIterator]().next();
    expect(answer?.events).toHaveLength(changes);
    expect(answer?.header.revision).toBe(changes + 1);
  });

  it("ends leases at the very millisecond, also when shorter and longer ones overlap", async () => {
    const clock = new VirtualClock();
    const coordinator = new MemoryCoordinator({ clock });
    const ends: number[] = [];
    for (const ttlMs of [500, 200, 350]) {
      const { lease } = await coordinator.grant(ttlMs);
      await coordinator.txn({ puts: [{ key: `lease/${ttlMs}`, value, lease }] });
      if (ttlMs === 200) {
        await clock.advance(150);
        await coordinator.renew(lease);
      }
    }
    const watch = (async () => {
      for await (const answer of coordinator.watch("lease/", 5)) {
        for (const event of answer.events) if (event.type === "delete") ends.push(clock.monotonicMs());
        if (ends.length === 3) return;
      }
    })();
    await clock.until(watch);
    expect(ends).toEqual([350, 500, 500]);
  });
});
