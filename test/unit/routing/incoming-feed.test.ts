import { describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { type Batch, EMPTY } from "../../../src/log/batch.ts";
import { IncomingFeed } from "../../../src/routing/incoming-feed.ts";
import { batchAfter, CONVERSATION, endOf } from "../../support/chains.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

function setUp() {
  const telemetry = new MemoryTelemetry();
  const batches: Batch[] = [];
  const ends: MeridianError[] = [];
  let unfollows = 0;
  const feed = new IncomingFeed({
    conversation: CONVERSATION,
    listener: { batch: (batch) => batches.push(batch), end: (error) => ends.push(error) },
    telemetry,
    unfollow: () => {
      unfollows += 1;
    },
  });
  return { telemetry, batches, ends, feed, unfollows: () => unfollows };
}

const a = batchAfter(EMPTY, ["a", "b"]);
const b = batchAfter(endOf(a), ["c"]);
const c = batchAfter(endOf(b), ["d"]);

describe("IncomingFeed", () => {
  it("hands on every batch after the head, with its bytes unchanged [G1]", async () => {
    const { feed, batches, ends } = setUp();
    feed.begun(endOf(a), 5n);
    const attachment = await feed.attached;
    expect(attachment).toMatchObject({ head: endOf(a), epoch: 5n });
    feed.batch(b.bytes);
    feed.batch(c.bytes);
    expect(batches.map(({ bytes }) => bytes)).toEqual([b.bytes, c.bytes]);
    expect(attachment.watermark()).toEqual(endOf(c));
    feed.heartbeat(4);
    expect(ends).toEqual([]);
  });

  it("ends, and says so to the far side, when a batch is left out between two [G1]", async () => {
    const { feed, batches, ends, unfollows, telemetry } = setUp();
    feed.begun(endOf(a), 5n);
    feed.batch(c.bytes);
    expect(batches).toEqual([]);
    expect(ends.map(({ code, message }) => [code, message])).toEqual([
      ["UNAVAILABLE", 'the feed of "standup" is broken: the batch after seq 2 begins at seq 4'],
    ]);
    expect(unfollows()).toBe(1);
    expect(telemetry.counters.get("feed.broken")).toBe(1);
    feed.batch(b.bytes);
    expect(batches).toEqual([]);
  });

  it("ends when the heartbeat says that there was more [G1]", () => {
    const { feed, ends, unfollows } = setUp();
    feed.begun(endOf(a), 5n);
    feed.heartbeat(2);
    expect(ends).toEqual([]);
    feed.heartbeat(3);
    expect(ends.map(({ code }) => code)).toEqual(["UNAVAILABLE"]);
    expect(unfollows()).toBe(1);
  });

  it("ends when a batch is damaged, and hands nothing of it on", () => {
    const { feed, batches, ends } = setUp();
    feed.begun(endOf(a), 5n);
    const damaged = b.bytes.slice();
    damaged[20] = (damaged[20] ?? 0) ^ 1;
    feed.batch(damaged);
    expect(batches).toEqual([]);
    expect(ends.map(({ code, cause }) => [code, (cause as MeridianError).code])).toEqual([["UNAVAILABLE", "CORRUPT"]]);
  });

  it("leaves it to the listener to judge a batch that does not chain [R5]", () => {
    const { feed, batches } = setUp();
    feed.begun(endOf(a), 5n);
    const other = batchAfter({ seq: 2, hash: "f".repeat(32) }, ["other"]);
    feed.batch(other.bytes);
    expect(batches.map(({ hash }) => hash)).toEqual([other.hash]);
  });

  it("does not begin when the far side ends it first, and the listener hears nothing", async () => {
    const { feed, ends } = setUp();
    feed.end(new MeridianError("NOT_LEADER", "ask another", { details: { leader: "x:1" } }));
    await expect(feed.attached).rejects.toMatchObject({ code: "NOT_LEADER", details: { leader: "x:1" } });
    feed.begun(EMPTY, 1n);
    feed.batch(a.bytes);
    expect(ends).toEqual([]);
  });

  it("tells the far side once when the listener goes, and hands nothing on any more", async () => {
    const { feed, batches, ends, unfollows } = setUp();
    feed.begun(EMPTY, 1n);
    const attachment = await feed.attached;
    attachment.detach();
    attachment.detach();
    feed.batch(a.bytes);
    feed.heartbeat(9);
    feed.end(new MeridianError("UNAVAILABLE", "over"));
    expect([batches, ends, unfollows()]).toEqual([[], [], 1]);
  });
});
