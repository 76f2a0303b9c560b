import { describe, expect, it } from "vitest";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { Deferred } from "../../../src/kernel/deferred.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { EMPTY } from "../../../src/log/batch.ts";
import { OutgoingFeeds } from "../../../src/routing/outgoing-feeds.ts";
import { FakeLeaders } from "../../support/fake-leaders.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

function setUp() {
  const telemetry = new MemoryTelemetry();
  const local = new FakeLeaders(new MemoryLogStore());
  let readies = 0;
  const feeds = new OutgoingFeeds({
    local,
    telemetry,
    onReady: () => {
      readies += 1;
    },
  });
  /** All events that can be sent, as "feed:case". */
  const takeAll = () => {
    const seen: string[] = [];
    for (let events = feeds.take(1); events.length > 0; events = feeds.take(1)) {
      for (const { feed, event } of events) seen.push(`${feed}:${event?.case}`);
    }
    return seen;
  };
  return { telemetry, local, feeds, takeAll, readies: () => readies };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}

const big = "x".repeat(1_024 * 1_024);

describe("OutgoingFeeds", () => {
  it("says first where a feed begins, then every batch, though batches may come before the attach is answered [G1]", async () => {
    const { local, feeds, takeAll } = setUp();
    const answer = new Deferred<void>();
    local.beforeAnswer = () => answer.promise;
    feeds.follow(1, "a", undefined);
    await settled();
    await local.commit("a", "early");
    expect(takeAll()).toEqual([]);
    answer.resolve();
    await settled();
    await local.commit("a", "late");
    expect(takeAll()).toEqual(["1:begun", "1:batch", "1:batch"]);
  });

  it("lets feeds take turns", async () => {
    const { local, feeds, takeAll, readies } = setUp();
    feeds.follow(1, "a", undefined);
    feeds.follow(2, "b", undefined);
    await settled();
    expect(takeAll()).toEqual(["1:begun", "2:begun"]);
    for (const text of ["x", "y", "z"]) await local.commit("a", text);
    await local.commit("b", "x");
    expect(readies()).toBeGreaterThan(0);
    expect(takeAll()).toEqual(["1:batch", "2:batch", "1:batch", "1:batch"]);
  });

  it("ends with the leader's error when it does not lead, and when it goes", async () => {
    const { local, feeds, takeAll } = setUp();
    local.beforeAttach = async () => {
      throw new MeridianError("NOT_LEADER", "no", { details: { leader: "x:1" } });
    };
    feeds.follow(1, "a", undefined);
    await settled();
    expect(feeds.take(1)).toMatchObject([
      { feed: 1n, event: { case: "ended", value: { code: "NOT_LEADER", details: { leader: "x:1" } } } },
    ]);
    local.beforeAttach = async () => {};
    feeds.follow(2, "a", undefined);
    await settled();
    await local.commit("a", "last");
    local.end("a");
    expect(takeAll()).toEqual(["2:begun", "2:batch", "2:ended"]);
    expect(feeds.size).toBe(0);
  });

  it("ends the feed with most that waits when too much waits, and no other [G9]", async () => {
    const { local, feeds, takeAll, telemetry } = setUp();
    feeds.follow(1, "busy", undefined);
    feeds.follow(2, "quiet", undefined);
    await settled();
    takeAll();
    await local.commit("quiet", "before");
    for (let i = 0; i < 20; i += 1) {
      await local.commit("busy", big);
      expect(feeds.waitingBytes).toBeLessThanOrEqual(LIMITS.linkFeedBytes);
    }
    await local.commit("quiet", "after");
    expect(telemetry.counters.get("link.feeds-cut")).toBe(1);
    expect(local.listeners("busy")).toBe(0);
    expect(feeds.take(1)).toMatchObject([{ feed: 2n }]);
    expect(feeds.take(1)).toMatchObject([{ feed: 1n, event: { case: "ended", value: { code: "OVERLOADED" } } }]);
    expect(takeAll()).toEqual(["2:batch"]);
    expect([feeds.size, feeds.waitingBytes]).toEqual([1, 0]);
  });

  it("takes no more feeds than a link may have [G9]", async () => {
    const { local, feeds } = setUp();
    local.attach = async (_, listener) => ({ head: EMPTY, epoch: 1n, watermark: () => EMPTY, detach: () => listener });
    for (let id = 1; id <= LIMITS.feedsPerLink; id += 1) feeds.follow(id, "a", undefined);
    await settled();
    while (feeds.take(LIMITS.frameBytes).length > 0);
    feeds.follow(LIMITS.feedsPerLink + 1, "a", undefined);
    expect(feeds.take(1)).toMatchObject([{ event: { case: "ended", value: { code: "OVERLOADED" } } }]);
    expect(feeds.size).toBe(LIMITS.feedsPerLink);
  });

  it("speaks in its heartbeat of what was sent, and where all was sent, of what the leader has committed [G1]", async () => {
    const { local, feeds, takeAll } = setUp();
    feeds.follow(1, "a", undefined);
    feeds.follow(2, "b", undefined);
    await settled();
    expect(feeds.heartbeat()).toBeUndefined();
    takeAll();
    await local.commit("a", "1");
    expect(feeds.heartbeat()).toEqual({ feeds: [1n, 2n], seqs: [0n, 0n] });
    takeAll();
    expect(feeds.heartbeat()).toEqual({ feeds: [1n, 2n], seqs: [1n, 0n] });
    local.rewrite("b", { seq: 9, hash: "f".repeat(32) });
    expect(feeds.heartbeat()).toEqual({ feeds: [1n, 2n], seqs: [1n, 9n] });
  });

  it("lets the leader go when the follower goes, even while the attach is on its way", async () => {
    const { local, feeds, takeAll } = setUp();
    const answer = new Deferred<void>();
    feeds.follow(1, "a", undefined);
    await settled();
    local.beforeAnswer = () => answer.promise;
    feeds.follow(2, "a", undefined);
    await settled();
    expect(local.listeners("a")).toBe(2);
    await local.commit("a", "1");
    feeds.unfollow(1);
    feeds.unfollow(2);
    feeds.unfollow(3);
    answer.resolve();
    await settled();
    expect(local.listeners("a")).toBe(0);
    expect(takeAll()).toEqual([]);
    expect([feeds.size, feeds.waitingBytes]).toEqual([0, 0]);
  });
});
