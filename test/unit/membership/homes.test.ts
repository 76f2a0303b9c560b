import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { Homes } from "../../../src/membership/homes.ts";
import { keys } from "../../../src/membership/keys.ts";
import type { Txn } from "../../../src/ports/coordinator.ts";
import { Cluster, codeOf, reads, type TestNode } from "./cluster.ts";

const IDLE = { nothingInFlight: true };

function page(prefix: string): (txn: Txn) => boolean {
  return (txn) => txn.ranges?.some((range) => "prefix" in range && range.prefix === prefix) === true;
}

describe("news of a home key", () => {
  it("that is older than what is known is ignored", () => {
    const homes = new Homes(["eu", "us"]);
    homes.learn("eu", 0, "talk", { home: "us", modRevision: 9, age: 9 });
    homes.learn("eu", 0, "talk", { home: "eu", modRevision: 7, age: 7 });
    expect(homes.home("eu", 0, "talk")).toBe("us");
    homes.learn("eu", 0, "talk", { home: "eu", modRevision: 11, age: 11 });
    expect(homes.home("eu", 0, "talk")).toBe("eu");
  });

  it("that is older than a complete listing is in it already", () => {
    const homes = new Homes(["eu", "us"]);
    homes.keep("eu", 0);
    homes.listed("eu", 0, new Map(), 20);
    homes.learn("eu", 0, "talk", { home: "us", modRevision: 19, age: 19 });
    expect(homes.home("eu", 0, "talk")).toBe("eu");
    homes.learn("eu", 0, "talk", { home: "us", modRevision: 21, age: 21 });
    homes.listed("eu", 0, new Map(), 20);
    expect(homes.home("eu", 0, "talk")).toBe("us");
  });

  it("of other nodes' shards is a bounded cache; that of kept shards is all kept", () => {
    const homes = new Homes(["eu", "us"]);
    homes.keep("eu", 0);
    homes.learn("eu", 0, "ours", { home: "us", modRevision: 1, age: 1 });
    for (let i = 0; i <= LIMITS.homesRemembered; i += 1) {
      homes.learn("us", 0, `theirs-${i}`, { home: "eu", modRevision: i + 2, age: i + 2 });
    }
    expect(homes.home("us", 0, "theirs-0")).toBe("us");
    expect(homes.home("eu", 0, "ours")).toBe("us");
  });

  // Seed 1001, with a limit of 1: a node that gave up a shard with many moved conversations kept all of them.
  it("of a shard that is given up counts in the cache at once, and no more of it is kept than that may hold [G9]", () => {
    const homes = new Homes(["eu", "us"]);
    const full = LIMITS.homesRemembered;
    homes.keep("eu", 0);
    for (let i = 0; i <= full; i += 1) homes.learn("eu", 0, `ours-${i}`, { home: "us", modRevision: i + 1, age: i + 1 });
    homes.release("eu", 0);
    expect([homes.get("eu", 0, "ours-0"), homes.get("eu", 0, `ours-${full}`)]).toEqual([undefined, undefined]);
  });

  // Seed 2000791134: a node that had once owned the shard kept the listing's age without its content. It could never again
  // learn that the conversation had been moved to it, and nobody led it.
  it("is learned again after the cache was dropped, also by a node that once listed the shard", () => {
    const homes = new Homes(["eu", "us"]);
    const moved = { home: "us", modRevision: 9, age: 9 };
    homes.keep("eu", 0);
    homes.listed("eu", 0, new Map([["talk", moved]]), 20);
    homes.release("eu", 0);
    for (let i = 0; i <= LIMITS.homesRemembered; i += 1) {
      homes.learn("us", 0, `theirs-${i}`, { home: "eu", modRevision: i + 2, age: i + 2 });
    }
    expect(homes.home("eu", 0, "talk")).toBe("eu");
    homes.learn("eu", 0, "talk", moved);
    expect(homes.home("eu", 0, "talk")).toBe("us");
  });
});

describe("the home keys of a claimed shard", () => {
  const MOVED = 2 * LIMITS.coordinatorPageKeys + 10;

  async function withMoved(): Promise<{ cluster: Cluster; prefix: string; name: (i: number) => string }> {
    const cluster = new Cluster({ shards: 1 });
    const name = (i: number) => `talk/${String(i).padStart(5, "0")}@eu`;
    for (let i = 0; i < MOVED; i += 1) await cluster.write(keys.home("eu", 0, name(i)), { home: "us" });
    return { cluster, prefix: keys.homes("eu", 0), name };
  }

  async function expectAllKnown(cluster: Cluster, a: TestNode, name: (i: number) => string): Promise<void> {
    for (const i of [0, LIMITS.coordinatorPageKeys, MOVED - 1]) {
      expect(a.membership.locate(name(i)).home).toBe("us");
      expect(await cluster.clock.until(codeOf(a.membership.tenure(name(i))))).toBe("NOT_LEADER");
    }
    expect((await cluster.tenure(a, name(MOVED))).look()).toBe(true);
  }

  it("are listed in pages, all at the first page's revision and guarded by the claim", async () => {
    const { cluster, prefix, name } = await withMoved();
    const a = cluster.node("eu", "a");
    // Between the pages the key space goes on: header revisions of later pages mean nothing.
    a.way.observe((txn) => {
      if (page(prefix)(txn)) void cluster.write("elsewhere", { home: "eu" });
    });
    await cluster.clock.until(a.membership.start());
    const pages = a.way.sent.filter(({ txn }) => page(prefix)(txn));
    expect(pages).toHaveLength(3);
    const first = pages[0]?.answer;
    const revision = first !== undefined && "header" in first ? first.header.revision : 0;
    const asked = pages.map(({ txn }) => txn.ranges?.[0]);
    expect(asked.map((range) => range && "prefix" in range && range.revision)).toEqual([undefined, revision, revision]);
    const { modRevision } = (await cluster.get(keys.shard("eu", 0))) ?? {};
    expect(pages.map(({ txn }) => txn.guards)).toEqual(pages.map(() => [{ key: keys.shard("eu", 0), modRevision }]));
    await expectAllKnown(cluster, a, name);
  });

  it("are listed again from the start when the first page's revision is compacted meanwhile", async () => {
    const { cluster, prefix, name } = await withMoved();
    const a = cluster.node("eu", "a");
    let pages = 0;
    a.doctor.answered = async (answer, txn) => {
      if (page(prefix)(txn) && ++pages === 2) {
        cluster.etcd.compact(await cluster.write("elsewhere", { home: "eu" }));
      }
      return answer;
    };
    await cluster.clock.until(a.membership.start());
    expect(pages).toBeGreaterThan(3);
    await expectAllKnown(cluster, a, name);
  });

  it("are not believed when the claim is lost between two pages", async () => {
    const { cluster, prefix } = await withMoved();
    const a = cluster.node("eu", "a");
    a.doctor.watched = (answer) => ({ ...answer, events: [] });
    let pages = 0;
    a.doctor.answered = async (answer, txn) => {
      if (page(prefix)(txn) && ++pages === 1) await cluster.write(keys.shard("eu", 0), { lease: "other", address: "x:1" });
      return answer;
    };
    await cluster.clock.until(a.membership.start());
    expect(a.membership.shards()).toEqual([]);
    expect(a.lost).toHaveLength(1);
  });
});

describe("a conversation with a home key", () => {
  async function moved(): Promise<{ cluster: Cluster; a: TestNode; b: TestNode; talk: string }> {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("us", "b");
    const talk = cluster.conversation("eu");
    await cluster.clock.until((await cluster.tenure(a, talk)).move("us", IDLE));
    await cluster.clock.advance(100);
    return { cluster, a, b, talk };
  }

  it("that is led away from its default home is opened only after a read guarded by the claim", async () => {
    const { cluster, b, talk } = await moved();
    const tenure = await cluster.tenure(b, talk);
    const read = b.way.sent.filter(({ txn }) => reads(cluster.homeKey(talk))(txn));
    expect(read.map(({ txn }) => txn.guards)).toEqual([[{ key: tenure.claim.key, modRevision: tenure.claim.modRevision }]]);
  });

  it("that came back is read, guarded by the claim, before it is opened in its default home again", async () => {
    const { cluster, a, b, talk } = await moved();
    await cluster.clock.until((await cluster.tenure(b, talk)).move("eu", IDLE));
    await cluster.clock.advance(100);
    const before = a.way.sent.length;
    const tenure = await cluster.tenure(a, talk);
    const read = a.way.sent.slice(before).filter(({ txn }) => reads(cluster.homeKey(talk))(txn));
    expect(read.map(({ txn }) => txn.guards)).toEqual([[{ key: tenure.claim.key, modRevision: tenure.claim.modRevision }]]);
  });

  // The new owner of the shard will derive max(its claim, the home key) too: with a home key newer than both claims, the
  // former owner would lead under the very same epoch.
  it.each(["away from its default home", "in its default home"])(
    "%s gives no epoch to a node whose claim is gone and that does not know it",
    async (where) => {
      const { cluster, a, b, talk } = await moved();
      const [node, home] = where === "in its default home" ? [a, "eu"] : [b, "us"];
      node.doctor.watched = (answer) => ({
        ...answer,
        events: answer.events.filter((event) => event.type === "put" && event.kv.key === cluster.homeKey(talk)),
      });
      await cluster.write(keys.shard(home, 0), { lease: "the-next-owner", address: "next:1" });
      await cluster.write(cluster.homeKey(talk), { home });
      await cluster.clock.advance(100);
      const { claims } = { claims: node.membership.shards() };
      expect(claims).toContain(`${home}/0`);
      expect(await cluster.clock.until(codeOf(node.membership.tenure(talk)))).toBe("NOT_LEADER");
      expect(node.lost.map(({ key }) => key)).toEqual([keys.shard(home, 0)]);
    },
  );

  it("that was moved here without this node's knowing is found by one read when somebody asks", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("us", "b");
    const talk = cluster.conversation("eu");
    b.doctor.watched = (answer) => ({ ...answer, events: [] });
    await cluster.clock.until((await cluster.tenure(a, talk)).move("us", IDLE));
    expect(b.membership.locate(talk).home).toBe("eu");
    expect((await cluster.tenure(b, talk)).look()).toBe(true);
  });

  it("is led under the higher of both revisions: a new claim above the home key's, a home key above the claim's", async () => {
    const { cluster, b, talk } = await moved();
    const first = await cluster.tenure(b, talk);
    expect(first.fromHomeKey).toBe(true);
    expect(first.epoch).toBe(BigInt((await cluster.get(cluster.homeKey(talk)))?.modRevision ?? 0));
    await cluster.write(keys.shard("us", 0), undefined);
    await cluster.clock.advance(2_000);
    const second = await cluster.tenure(b, talk);
    expect(second.fromHomeKey).toBe(false);
    expect(second.epoch).toBe(BigInt(second.claim.modRevision));
    expect(second.epoch).toBeGreaterThan(first.epoch);
  });

  it("that is unreadable stays shut, wherever somebody asks", async () => {
    const { cluster, a, b, talk } = await moved();
    await cluster.write(cluster.homeKey(talk), { lease: "not", address: "a-home" });
    await cluster.clock.advance(100);
    expect(await cluster.clock.until(codeOf(a.membership.tenure(talk)))).toBe("CORRUPT");
    expect(await cluster.clock.until(codeOf(b.membership.tenure(talk)))).toBe("CORRUPT");
    expect(a.logged("coordinator.key-unreadable").length).toBeGreaterThan(0);
  });

  it("is found again after changes were missed: a truncated watch lists everything anew", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    await cluster.started("us", "b");
    const talk = cluster.conversation("eu");
    a.way.cut();
    await cluster.write(cluster.homeKey(talk), { home: "us" });
    cluster.etcd.compact(await cluster.write("elsewhere", { home: "eu" }));
    a.way.heal();
    await cluster.clock.advance(1_500);
    expect(a.lost).toEqual([]);
    expect(a.membership.locate(talk).home).toBe("us");
  });
});

describe("the watch", () => {
  it.each([1, 2, 3, 4, 5])("is there as soon as its node is back, to serve what it is given (seed %i)", async (seed) => {
    const cluster = new Cluster({ regions: ["eu", "us"], shards: 4, seed });
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("us", "b");
    b.way.cut();
    // Long enough for the others to take over, and for the longest pause between two tries of the watch.
    await cluster.clock.advance(30_000);
    expect(a.membership.shards()).toHaveLength(8);
    b.way.heal();
    for (let i = 0; b.membership.lease() === undefined && i < 1_000; i += 1) await cluster.clock.advance(10);
    await cluster.clock.advance(400);
    expect(b.membership.shards()).toHaveLength(4);
    expect(a.membership.shards()).toHaveLength(4);
  });

  it("goes on from the last event's own revision, not from a header's", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const talk = cluster.conversation("eu");
    const last = await cluster.write(cluster.homeKey(talk), { home: "us" });
    await cluster.clock.advance(100);
    for (let i = 0; i < 5; i += 1) await cluster.write("elsewhere", { home: "eu" });
    // A header that is ahead of the events that have come.
    a.doctor.watched = (answer) => ({ ...answer, header: { ...answer.header, revision: last + 5 } });
    const other = await cluster.write(cluster.homeKey(`${talk}2@eu`), { home: "us" });
    await cluster.clock.advance(100);
    a.way.cut();
    a.way.heal();
    await cluster.clock.advance(1_000);
    expect(a.doctor.cursors.at(-1)).toBe(other);
  });
});
