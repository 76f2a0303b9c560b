import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { MemoryCoordinator } from "../../../src/adapters/memory/coordinator.ts";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { keys } from "../../../src/membership/keys.ts";
import { Membership } from "../../../src/membership/membership.ts";
import { Conversations } from "../../../src/sequencer/conversations.ts";
import { CountingIds } from "../../support/counting-ids.ts";
import { run } from "../../support/sends.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

function setUp() {
  const store = new MemoryLogStore();
  const clock = new VirtualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const options = { coordinator, store, clock, random: new SeededRandom(1), telemetry: new MemoryTelemetry(), node: "a" };
  const lease = { leaseTtlMs: 3_000, leaseRenewMs: 300, leaseMarginMs: 1_000 };
  const membership = new Membership({ ...options, ...lease, region: "eu", regions: ["eu"], shards: 8, address: "a:1" });
  const conversations = new Conversations({ ...options, membership, ids: new CountingIds() });
  return { clock, coordinator, store, membership, conversations };
}

describe("a conversation that is being opened", () => {
  it("gives its leader what was sent meanwhile in the order in which it came [G7]", async () => {
    const { clock, conversations, membership } = setUp();
    await clock.until(membership.start());
    const runs = [1n, 2n, 3n].map((producer) => run(1, ["x"], { producer }));

    const fates = await clock.until(Promise.all(runs.map((each) => conversations.submit(each))));

    expect(fates).toMatchObject([[{ seq: 1 }], [{ seq: 2 }], [{ seq: 3 }]]);
  });
});

describe("a node that hands its shards over", () => {
  it("keeps none waiting for a conversation of another shard that is still being opened", async () => {
    const { clock, coordinator, store, membership, conversations } = setUp();
    await clock.until(membership.start());
    const [fast, slow] = ["standup", "retro"].map((name) => ({ name, shard: membership.locate(name).shard }));
    if (fast === undefined || slow === undefined || fast.shard === slow.shard) expect.fail("they are to be in two shards");
    await clock.until(conversations.leader(fast.name));
    store.read = () => new Promise(() => {});
    conversations.leader(slow.name).catch(() => {});
    await clock.advance(10);

    const stopped = membership.stop();
    await clock.advance(LIMITS.drainMs / 2);
    const ranges = [fast, slow].map(({ shard }) => ({ key: keys.shard("eu", shard) }));
    const answer = await coordinator.txn({ ranges });
    expect("header" in answer && answer.ranges.map(({ kvs }) => kvs.length)).toEqual([0, 1]);
    await clock.until(stopped);
  });
});
