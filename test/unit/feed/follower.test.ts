import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { Follower } from "../../../src/feed/follower.ts";
import { RecentMemory } from "../../../src/feed/recent.ts";
import { Deferred } from "../../../src/kernel/deferred.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { EMPTY } from "../../../src/log/batch.ts";
import { batchAfter, CONVERSATION, endOf } from "../../support/chains.ts";
import { FakeLeaders } from "../../support/fake-leaders.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

function setUp() {
  const clock = new VirtualClock();
  const leaders = new FakeLeaders(new MemoryLogStore());
  const telemetry = new MemoryTelemetry();
  const options = {
    conversation: CONVERSATION,
    leaders,
    memory: new RecentMemory(),
    clock,
    random: new SeededRandom(1),
    telemetry,
  };
  return { clock, leaders, telemetry, follow: () => new Follower(options) };
}

describe("Follower", () => {
  it("takes the leader's head, and then every batch in order [G1]", async () => {
    const { clock, leaders, follow } = setUp();
    const before = await leaders.commit(CONVERSATION, "a", "b");
    const follower = follow();
    expect(await clock.until(follower.ready())).toEqual(endOf(before));
    const wakes: number[] = [];
    const unwatch = follower.watch(() => wakes.push(follower.head?.seq ?? 0));
    const c = await leaders.commit(CONVERSATION, "c");
    const d = await leaders.commit(CONVERSATION, "d", "e");
    expect(follower.head).toEqual(endOf(d));
    expect(follower.recent(3, 1_000_000)).toEqual([c, d]);
    expect(follower.recent(2, 1_000_000)).toBeUndefined();
    unwatch();
    await leaders.commit(CONVERSATION, "f");
    expect(wakes).toEqual([3, 5]);
    await follower.close();
  });

  it("hears batches that come before the answer of its attach [G1]", async () => {
    const { clock, leaders, follow } = setUp();
    await leaders.commit(CONVERSATION, "a");
    let early = endOf(batchAfter(EMPTY, ["unused"]));
    leaders.beforeAnswer = async () => {
      early = endOf(await leaders.commit(CONVERSATION, "b"));
    };
    const follower = follow();
    expect(await clock.until(follower.ready())).toEqual(early);
    expect(early.seq).toBe(2);
    expect(follower.recent(2, 1)).toHaveLength(1);
    await follower.close();
  });

  it("attaches again when the leader goes, and takes over what was committed meanwhile", async () => {
    const { clock, leaders, telemetry, follow } = setUp();
    await leaders.commit(CONVERSATION, "a");
    const follower = follow();
    await clock.until(follower.ready());
    await leaders.commit(CONVERSATION, "b");
    leaders.end(CONVERSATION);
    const unheard = await leaders.commit(CONVERSATION, "c");
    expect(follower.head?.seq).toBe(2);
    await clock.advance(2_000);
    expect(follower.head).toEqual(endOf(unheard));
    expect(follower.recent(2, 1)).toBeUndefined();
    const heard = await leaders.commit(CONVERSATION, "d");
    expect(follower.recent(4, 1)).toEqual([heard]);
    expect(telemetry.counters.get("feed.reattached")).toBe(1);
    expect(leaders.listeners(CONVERSATION)).toBe(1);
    await follower.close();
    expect(leaders.listeners(CONVERSATION)).toBe(0);
  });

  it("keeps its head when a later leader knows less, and goes on where that one passes it [G1]", async () => {
    const { clock, leaders, follow } = setUp();
    const a = await leaders.commit(CONVERSATION, "a");
    const b = batchAfter(endOf(a), ["b"]);
    const c = batchAfter(endOf(b), ["c"]);
    const follower = follow();
    await clock.until(follower.ready());
    leaders.feed(CONVERSATION, b);
    expect(follower.head).toEqual(endOf(b));
    leaders.end(CONVERSATION);
    await clock.advance(2_000);
    expect(leaders.attaches).toBe(2);
    expect(follower.head).toEqual(endOf(b));
    leaders.feed(CONVERSATION, b);
    leaders.feed(CONVERSATION, c);
    expect(follower.head).toEqual(endOf(c));
    expect(follower.recent(2, 1_000_000)).toEqual([b, c]);
    expect(follower.forked).toBe(false);
    await follower.close();
  });

  it("attaches again when a feed leaves a batch out or repeats one", async () => {
    for (const wrong of ["left out", "repeated"]) {
      const { clock, leaders, follow } = setUp();
      const a = await leaders.commit(CONVERSATION, "a");
      const follower = follow();
      await clock.until(follower.ready());
      const b = batchAfter(endOf(a), ["b"]);
      leaders.feed(CONVERSATION, wrong === "left out" ? batchAfter(endOf(b), ["c"]) : a);
      leaders.feed(CONVERSATION, b);
      expect(follower.head).toEqual(endOf(a));
      expect(follower.forked).toBe(false);
      await clock.advance(2_000);
      expect(leaders.attaches).toBe(2);
      await follower.close();
    }
  });

  it("stops at two different hashes of one seq, however they come, and says so [G1, R5]", async () => {
    const a = batchAfter(EMPTY, ["a"]);
    const other = batchAfter(EMPTY, ["other"]);
    const straddling = batchAfter(EMPTY, ["a", "b"]);
    const b = batchAfter(endOf(a), ["b"]);
    const ways: Record<string, (leaders: FakeLeaders) => void> = {
      "a batch on another history": (leaders) => leaders.feed(CONVERSATION, batchAfter(endOf(other), ["b"])),
      "a watermark of another history": (leaders) => {
        leaders.feed(CONVERSATION, batchAfter(endOf(a), ["b"], endOf(other)));
      },
      "a new leader with another head": (leaders) => {
        leaders.rewrite(CONVERSATION, endOf(other));
        leaders.end(CONVERSATION);
      },
      "a late leader that comes up to another head": (leaders) => {
        leaders.rewrite(CONVERSATION, EMPTY);
        leaders.beforeAnswer = async () => leaders.feed(CONVERSATION, other);
        leaders.end(CONVERSATION);
      },
      "a batch that runs over the head": (leaders) => {
        leaders.rewrite(CONVERSATION, EMPTY);
        leaders.beforeAnswer = async () => leaders.feed(CONVERSATION, straddling);
        leaders.end(CONVERSATION);
      },
    };
    for (const [way, act] of Object.entries(ways)) {
      const { clock, leaders, telemetry, follow } = setUp();
      leaders.rewrite(CONVERSATION, endOf(a));
      const follower = follow();
      await clock.until(follower.ready());
      let wakes = 0;
      follower.watch(() => {
        wakes += 1;
      });
      act(leaders);
      await clock.advance(2_000);
      expect(follower.forked, way).toBe(true);
      expect(() => follower.check(), way).toThrow(expect.objectContaining({ code: "CORRUPT" }));
      await expect(follower.ready(), way).rejects.toMatchObject({ code: "CORRUPT" });
      expect(wakes, way).toBe(1);
      expect(telemetry.events(), way).toContain("feed.fork");
      expect(telemetry.counters.get("feed.forks"), way).toBe(1);
      expect(follower.head, way).toEqual(endOf(a));
      leaders.feed(CONVERSATION, b);
      await clock.advance(60_000);
      expect(follower.head, way).toEqual(endOf(a));
      expect(leaders.listeners(CONVERSATION), way).toBe(0);
      await follower.close();
    }
  });

  it("tries again and again to attach, waits at most 10 s for a head, and gets it in the end [G9]", async () => {
    const { clock, leaders, follow } = setUp();
    await leaders.commit(CONVERSATION, "a");
    leaders.beforeAttach = async () => {
      throw new MeridianError("UNAVAILABLE", "nobody leads it");
    };
    const follower = follow();
    const before = clock.monotonicMs();
    await expect(clock.until(follower.ready())).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(clock.monotonicMs() - before).toBe(LIMITS.callDeadlineMs);
    expect(leaders.attaches).toBeGreaterThan(5);
    expect(leaders.attaches).toBeLessThan(60);
    leaders.beforeAttach = async () => {};
    expect((await clock.until(follower.ready())).seq).toBe(1);
    await follower.close();
  });

  it("passes an error that no retry helps on to who waits for the head, and tries on for later ones", async () => {
    const { clock, leaders, follow } = setUp();
    await leaders.commit(CONVERSATION, "a");
    leaders.beforeAttach = async () => {
      throw new MeridianError("CORRUPT", "the log of this conversation is damaged");
    };
    const follower = follow();
    await expect(clock.until(follower.ready())).rejects.toMatchObject({ code: "CORRUPT" });
    leaders.beforeAttach = async () => {};
    expect((await clock.until(follower.ready())).seq).toBe(1);
    await follower.close();
  });

  it("gives up an attach without an answer, and lets its late answer go [G9]", async () => {
    const { clock, leaders, follow } = setUp();
    await leaders.commit(CONVERSATION, "a");
    const stuck = new Deferred<void>();
    leaders.beforeAnswer = () => (leaders.attaches === 1 ? stuck.promise : Promise.resolve());
    const follower = follow();
    await clock.advance(LIMITS.callDeadlineMs + 1_000);
    expect(follower.head?.seq).toBe(1);
    expect(leaders.listeners(CONVERSATION)).toBe(2);
    stuck.resolve();
    await clock.advance(0);
    expect(leaders.listeners(CONVERSATION)).toBe(1);
    await leaders.commit(CONVERSATION, "b");
    expect(follower.head?.seq).toBe(2);
    expect(follower.forked).toBe(false);
    await follower.close();
  });
});
