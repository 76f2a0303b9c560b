import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { Followers } from "../../../src/feed/followers.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { EMPTY } from "../../../src/log/batch.ts";
import { batchAfter, CONVERSATION, endOf } from "../../support/chains.ts";
import { FakeLeaders } from "../../support/fake-leaders.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

function setUp() {
  const clock = new VirtualClock();
  const leaders = new FakeLeaders(new MemoryLogStore());
  const followers = new Followers({ leaders, clock, random: new SeededRandom(1), telemetry: new MemoryTelemetry() });
  return { clock, leaders, followers };
}

describe("Followers", () => {
  it("follows a conversation once, however many read it, and a little beyond the last of them", async () => {
    const { clock, leaders, followers } = setUp();
    const held = Array.from({ length: 3 }, () => followers.follow(CONVERSATION));
    expect(new Set(held.map(({ follower }) => follower)).size).toBe(1);
    await clock.advance(0);
    expect(leaders.attaches).toBe(1);
    held[0]?.release();
    held[0]?.release();
    held[1]?.release();
    await clock.advance(LIMITS.followerLingerMs * 2);
    expect(followers.size).toBe(1);
    held[2]?.release();
    await clock.advance(LIMITS.followerLingerMs - 1);
    const again = followers.follow(CONVERSATION);
    expect(again.follower).toBe(held[0]?.follower);
    await clock.advance(LIMITS.followerLingerMs * 2);
    expect(followers.size).toBe(1);
    again.release();
    await clock.advance(LIMITS.followerLingerMs);
    expect(followers.size).toBe(0);
    expect(leaders.listeners(CONVERSATION)).toBe(0);
  });

  it("lets the longest unread follower go when too many linger [G9]", async () => {
    const { clock, followers } = setUp();
    for (let i = 0; i < LIMITS.followersLingering + 5; i += 1) followers.follow(`conversation ${i}`).release();
    await clock.advance(0);
    expect(followers.size).toBe(LIMITS.followersLingering);
    await clock.advance(LIMITS.followerLingerMs);
    expect(followers.size).toBe(0);
  });

  it("remembers a fork after its last reader has gone [G1]", async () => {
    const { clock, leaders, followers } = setUp();
    const other = batchAfter(EMPTY, ["other"]);
    leaders.rewrite(CONVERSATION, endOf(batchAfter(EMPTY, ["a"])));
    const { follower, release } = followers.follow(CONVERSATION);
    await clock.until(follower.ready());
    leaders.feed(CONVERSATION, batchAfter(endOf(other), ["b"]));
    release();
    await clock.advance(LIMITS.followerLingerMs * 10);
    expect(() => followers.follow(CONVERSATION).follower.check()).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });

  it("ends everything at its close, and follows nothing any more", async () => {
    const { clock, leaders, followers } = setUp();
    const { follower, release } = followers.follow(CONVERSATION);
    await clock.until(follower.ready());
    await clock.until(followers.close());
    release();
    expect(followers.size).toBe(0);
    expect(leaders.listeners(CONVERSATION)).toBe(0);
    expect(() => followers.follow(CONVERSATION)).toThrow(expect.objectContaining({ code: "UNAVAILABLE" }));
  });
});
