import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type Batch, decodeBatch, EMPTY } from "../../../src/log/batch.ts";
import { decodeCheckpoint } from "../../../src/log/checkpoint.ts";
import type { Fate, SubmitRun } from "../../../src/routing/leaders.ts";
import { Dedup } from "../../../src/sequencer/dedup.ts";
import { Leader, type Opening } from "../../../src/sequencer/leader.ts";
import { continueFrom } from "../../../src/sequencer/recovery.ts";
import { CountingIds } from "../../support/counting-ids.ts";
import { FakeTenure } from "../../support/fake-tenure.ts";
import { type HeldAppend, ScriptedLogStore } from "../../support/scripted-log-store.ts";
import { item, run } from "../../support/sends.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

const random = { u32: () => 0, bytes: (n: number) => new Uint8Array(n) };

function setUp(opening: Partial<Opening> = {}) {
  const clock = new VirtualClock();
  const store = new ScriptedLogStore();
  const tenure = new FakeTenure("standup", 5n);
  const gone: Leader[] = [];
  const leader = new Leader({
    tenure,
    store,
    clock,
    random,
    ids: new CountingIds(),
    telemetry: new MemoryTelemetry(),
    opening: { head: EMPTY, lastId: 0n, dedup: new Dedup(), checkpointSeq: undefined, ...opening },
    onGone: (one) => gone.push(one),
  });
  const batches: Batch[] = [];
  const ends: MeridianError[] = [];
  leader.attach({ batch: (batch) => batches.push(batch), end: (error) => ends.push(error) });
  return { clock, store, tenure, leader, batches, ends, gone };
}

/** What became of the run so far: "waiting" until it is settled. */
function watch(fates: Promise<readonly Fate[]>): { state: "waiting" | readonly Fate[] | MeridianError } {
  const seen: { state: "waiting" | readonly Fate[] | MeridianError } = { state: "waiting" };
  fates.then(
    (settled) => {
      seen.state = settled;
    },
    (error: unknown) => {
      seen.state = MeridianError.from(error);
    },
  );
  return seen;
}

function at(held: readonly HeldAppend[], index: number): HeldAppend {
  const append = held[index];
  if (append === undefined) throw new Error(`there is no held append ${index}`);
  return append;
}

const placed = (seq: number, id: bigint) => ({ kind: "placed", seq, id });

describe("a leader", () => {
  it("gives seqs without a gap and ids that grow with them [G1] [G5]", async () => {
    const { clock, leader } = setUp();
    expect(await clock.until(leader.submit(run(1, ["a", "b"])))).toEqual([placed(1, 1000n), placed(2, 1001n)]);
    expect(await clock.until(leader.submit(run(3, ["c"])))).toEqual([placed(3, 2000n)]);
  });

  it("acknowledges only what the store has committed [G2]", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    const outcome = watch(leader.submit(run(1, ["a"])));
    await clock.advance(60_000);
    expect(outcome.state).toBe("waiting");
    await at(store.held, 0).commit();
    await clock.advance(0);
    expect(outcome.state).toEqual([placed(1, 1000n)]);
  });

  it("writes the same bytes at a seq until they commit [R3]", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    const outcome = watch(leader.submit(run(1, ["a"])));
    await at(store.held, 0).lose({ applied: false });
    await clock.advance(5_000);
    await at(store.held, 1).lose({ applied: true });
    await clock.advance(5_000);
    await at(store.held, 2).commit();
    await clock.advance(0);
    expect(new Set(store.appends.map(({ bytes }) => Buffer.from(bytes).toString("hex"))).size).toBe(1);
    expect(outcome.state).toEqual([placed(1, 1000n)]);
  });

  it("holds an acknowledgement back while an earlier batch is not committed [R4]", async () => {
    const { clock, store, leader, batches } = setUp();
    store.hold();
    const first = watch(leader.submit(run(1, ["a"])));
    const second = watch(leader.submit(run(2, ["b"])));
    await clock.advance(0);
    await at(store.held, 1).commit();
    await clock.advance(0);
    expect([first.state, second.state, batches.length]).toEqual(["waiting", "waiting", 0]);
    await at(store.held, 0).commit();
    await clock.advance(0);
    expect([first.state, second.state]).toEqual([[placed(1, 1000n)], [placed(2, 2000n)]]);
    expect(batches.map(({ firstSeq }) => firstSeq)).toEqual([1, 2]);
  });

  it("looks after the commit, and acknowledges nothing if it no longer leads [R4]", async () => {
    const { clock, store, tenure, leader, batches, ends, gone } = setUp();
    store.hold();
    const outcome = watch(leader.submit(run(1, ["a"])));
    tenure.holds = false;
    await at(store.held, 0).commit();
    await clock.advance(0);
    expect(outcome.state).toMatchObject({ code: "UNAVAILABLE" });
    expect(batches).toEqual([]);
    expect(ends).toHaveLength(1);
    expect(gone).toEqual([leader]);
    expect(tenure.released).toBe(true);
  });

  it("keeps several batches on their way, but no more than its limit [G9]", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    for (let counter = 1; counter <= 40; counter += 1) {
      watch(leader.submit(run(counter, ["x"])));
      await clock.advance(0);
    }
    expect(store.held).toHaveLength(LIMITS.batchesInFlight);
    await at(store.held, 0).commit();
    await clock.advance(0);
    const last = decodeBatch("standup", at(store.held, LIMITS.batchesInFlight).row.bytes);
    expect(last.entries).toHaveLength(40 - LIMITS.batchesInFlight);
  });

  it("cuts a batch at the end of its bucket [R1]", async () => {
    const head = { seq: LIMITS.bucketMessages - 2, hash: "ab".repeat(16) };
    const { clock, store, leader } = setUp({ head });
    await clock.until(leader.submit(run(1, ["a", "b", "c"])));
    expect(store.appends.map(({ firstSeq }) => firstSeq)).toEqual([LIMITS.bucketMessages - 1, LIMITS.bucketMessages + 1]);
  });

  it("cuts batches at their limits of messages and bytes, and lets one larger message pass [R1]", async () => {
    const { clock, store, leader } = setUp();
    const big = "x".repeat(LIMITS.batchBytes / 2 + 1);
    await clock.until(leader.submit(run(1, [big, big, "x".repeat(LIMITS.batchBytes + 1), "d"])));
    expect(store.appends.map(({ firstSeq }) => firstSeq)).toEqual([1, 2, 3, 4]);
    const many = new Array(LIMITS.batchMessages + 1).fill("y");
    await clock.until(leader.submit(run(5, many.slice(0, 128))));
    await clock.until(leader.submit(run(133, many.slice(128))));
    expect(store.appends.slice(4).map(({ firstSeq }) => firstSeq)).toEqual([5, 133]);
  });

  it("chains each batch to the one before and embeds only a committed watermark [R2]", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    watch(leader.submit(run(1, ["a"])));
    watch(leader.submit(run(2, ["b"])));
    await clock.advance(0);
    await at(store.held, 0).commit();
    watch(leader.submit(run(3, ["c"])));
    await clock.advance(0);
    const [a, b, c] = store.held.map(({ row }) => decodeBatch("standup", row.bytes)) as [Batch, Batch, Batch];
    expect([a.prevHash, b.prevHash, c.prevHash]).toEqual([EMPTY.hash, a.hash, b.hash]);
    expect([a.watermark, b.watermark]).toEqual([EMPTY, EMPTY]);
    expect(c.watermark).toEqual({ seq: 1, hash: a.hash });
  });

  it("gives two copies that wait together one place [G3]", async () => {
    const { clock, store, leader } = setUp();
    const [first, second] = [leader.submit(run(1, ["a"])), leader.submit(run(1, ["a"]))];
    expect(await clock.until(first)).toEqual(await clock.until(second));
    expect(store.appends).toHaveLength(1);
  });

  it("tells the fate of a repeat only when the first try is committed [G3]", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    watch(leader.submit(run(1, ["a"])));
    const again = watch(leader.submit(run(1, ["a"])));
    await clock.advance(1_000);
    expect(again.state).toBe("waiting");
    await at(store.held, 0).commit();
    await clock.advance(0);
    expect(again.state).toEqual([placed(1, 1000n)]);
  });

  it("waits briefly for a counter that was overtaken [G7]", async () => {
    const { clock, leader } = setUp();
    const second = leader.submit(run(2, ["b"]));
    await clock.advance(LIMITS.counterGapWaitMs - 1);
    const first = leader.submit(run(1, ["a"]));
    expect(await clock.until(first)).toMatchObject([{ seq: 1 }]);
    expect(await clock.until(second)).toMatchObject([{ seq: 2 }]);
  });

  it("cuts full batches when runs come in the wrong order", async () => {
    const { clock, store, leader } = setUp();
    const texts = new Array<string>(LIMITS.batchMessages).fill("x");
    const late = [4, 3, 2].map((nth) => watch(leader.submit(run(1 + (nth - 1) * texts.length, texts))));
    await clock.advance(0);
    await clock.until(leader.submit(run(1, texts)));
    await clock.advance(10);
    expect(store.appends.map(({ firstSeq }) => firstSeq)).toEqual([1, 129, 257, 385]);
    expect(late.map(({ state }) => state)).toMatchObject([{ 127: { seq: 512 } }, { 127: { seq: 384 } }, { 127: { seq: 256 } }]);
  });

  it("lets those wait on whose predecessors come one by one, and names the counter wanted then [G7]", async () => {
    const { clock, leader } = setUp();
    const waiting = [5, 4, 9].map((counter) => watch(leader.submit(run(counter, [`${counter}`]))));
    for (const counter of [1, 2, 3]) {
      await clock.advance(LIMITS.counterGapWaitMs - 1);
      await clock.until(leader.submit(run(counter, [`${counter}`])));
    }
    await clock.advance(0);
    expect(waiting.map(({ state }) => state)).toMatchObject([[{ seq: 5 }], [{ seq: 4 }], "waiting"]);
    await clock.advance(LIMITS.counterGapWaitMs + 100);
    expect(waiting[2]?.state).toMatchObject([{ kind: "refused", error: { code: "COUNTER_GAP", details: { wanted: "6" } } }]);
  });

  it("refuses a counter whose predecessor does not come, with the counter wanted [G7]", async () => {
    const { clock, leader } = setUp();
    const [fate] = await clock.until(leader.submit(run(3, ["c"])));
    expect(fate).toMatchObject({ kind: "refused", error: { code: "COUNTER_GAP", details: { wanted: "1" } } });
  });

  it("fills a skipped counter with a void, so that a late copy is never accepted [G6]", async () => {
    const { clock, leader, batches } = setUp();
    expect(await clock.until(leader.submit(run(1, [item("", { skip: true })])))).toEqual([
      { kind: "skipped", seq: 1, id: 1000n },
    ]);
    expect(await clock.until(leader.submit(run(1, ["late"])))).toEqual([{ kind: "skipped", seq: 1, id: 1000n }]);
    expect(batches[0]?.entries[0]?.void).toBe(true);
  });

  it("gives ids above what the sender has seen [G8]", async () => {
    const { clock, leader } = setUp();
    expect(await clock.until(leader.submit(run(1, ["a"], { aboveId: 54_321n })))).toEqual([placed(1, 55_000n)]);
  });

  it("gives ids above what a sender has seen whose counter had to wait for the one before [G8]", async () => {
    const { clock, leader } = setUp();
    const second = watch(leader.submit(run(2, ["b"], { aboveId: 54_321n })));
    await clock.until(leader.submit(run(1, ["a"])));
    expect(second.state).toEqual([placed(2, 56_001n)]);
  });

  it("gives ids above what a sender has seen that moves up because those before it are repeats [G8]", async () => {
    const { clock, store, leader } = setUp();
    const texts = Array.from({ length: LIMITS.batchMessages }, (_, at) => `${at}`);
    await clock.until(leader.submit(run(1, texts)));
    store.hold();
    watch(leader.submit(run(texts.length + 1, ["on its way"])));
    void leader.submit(run(1, texts));
    const late = watch(leader.submit(run(1, ["new"], { producer: 8n, aboveId: 54_321n })));
    await clock.advance(0);
    for (const { commit } of store.held) await commit();
    await clock.advance(10);
    expect(late.state).toEqual([placed(texts.length + 2, 55_000n)]);
  });

  it("refuses when too much waits, and takes nothing of the run [G9]", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    for (let i = 0; i < 8; i += 1) {
      watch(leader.submit(run(1 + i, ["x"])));
      await clock.advance(0);
    }
    const many = new Array(LIMITS.batchMessages).fill("x");
    let waiting = 0;
    const submit = () => leader.submit(run(9 + waiting, many));
    for (; waiting + many.length <= LIMITS.leaderQueueMessages; waiting += many.length) watch(submit());
    expect(submit).toThrowError(expect.objectContaining({ code: "OVERLOADED" }));
  });

  it("counts those that wait for an earlier counter: they come back all at once [G9]", async () => {
    const { clock, leader } = setUp();
    const producers = LIMITS.leaderQueueMessages / LIMITS.producerInFlight;
    const many = new Array(LIMITS.producerInFlight).fill("x");
    const early = Array.from({ length: producers }, (_, i) => watch(leader.submit(run(2, many, { producer: BigInt(1 + i) }))));
    await clock.advance(0);
    expect(() => leader.submit(run(1, ["x"]))).toThrowError(expect.objectContaining({ code: "OVERLOADED" }));
    await clock.advance(LIMITS.counterGapWaitMs + 100);
    expect(early[0]?.state).toMatchObject({ 0: { kind: "refused", error: { code: "COUNTER_GAP" } } });
    await clock.until(leader.submit(run(1, ["x"])));
  });
});

describe("a refusal", () => {
  const stranger = () => run(1, ["a"], { sender: "mallory" });

  it("is told only after this epoch has committed a batch of its own [R9]", async () => {
    const dedup = new Dedup();
    const { clock, store, leader } = setUp({ dedup });
    store.hold();
    watch(leader.submit(run(1, ["a"])));
    const refused = watch(leader.submit(stranger()));
    await clock.advance(10_000);
    expect(refused.state).toBe("waiting");
    await at(store.held, 0).commit();
    await clock.advance(0);
    expect(refused.state).toMatchObject([{ kind: "refused", error: { code: "PERMISSION_DENIED" } }]);
  });

  it("writes a void when there is nothing else to commit [R9]", async () => {
    const { clock, store, leader, batches } = setUp();
    const [fate] = await clock.until(leader.submit(run(2, ["b"])));
    expect(fate).toMatchObject({ kind: "refused" });
    expect(store.appends).toHaveLength(1);
    expect(batches[0]?.entries).toMatchObject([{ void: true, producer: 0n }]);
  });

  it("is not told by a leader that is deposed before its barrier [R9]", async () => {
    const { clock, store, tenure, leader } = setUp();
    store.hold();
    const refused = watch(leader.submit(run(2, ["b"])));
    await clock.advance(1_000);
    tenure.holds = false;
    await at(store.held, 0).commit();
    await clock.advance(0);
    expect(refused.state).toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("sealing a leader", () => {
  it("acknowledges what is on its way, refuses what comes, and ends drained", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    const before = watch(leader.submit(run(1, ["a"])));
    leader.seal();
    expect(() => leader.submit(run(2, ["b"]))).toThrowError(expect.objectContaining({ code: "UNAVAILABLE" }));
    await at(store.held, 0).commit();
    await clock.until(leader.drained());
    expect(before.state).toEqual([placed(1, 1000n)]);
  });

  it("lets a conversation be continued from its exact head [R8] [R10]", async () => {
    const { clock, store, leader } = setUp();
    await clock.until(leader.submit(run(1, ["a", "b"])));
    leader.seal();
    expect(await clock.until(leader.saveHead())).toBe(true);
    const stored = await store.loadCheckpoint("standup");
    const continued = continueFrom("standup", stored ?? expect.fail("no checkpoint"));
    expect(continued.head).toEqual(leader.head);
    expect(continued.lastId).toBe(1001n);
  });

  it("is not put aside when the look fails after its checkpoint [R8]", async () => {
    const { clock, tenure, leader } = setUp();
    await clock.until(leader.submit(run(1, ["a"])));
    leader.seal();
    tenure.holds = false;
    expect(await clock.until(leader.saveHead())).toBe(false);
  });

  it("writes no checkpoint once it was let go with a batch on its way: its state is ahead of its head [R10]", async () => {
    const { clock, store, tenure, leader } = setUp();
    store.hold();
    watch(leader.submit(run(1, ["a"])));
    await clock.advance(0);
    leader.seal();
    tenure.holds = false;
    await at(store.held, 0).commit();
    await clock.until(leader.drained());
    expect(await clock.until(leader.saveHead())).toBe(false);
    expect(store.checkpoints).toEqual([]);
  });
});

describe("a checkpoint under way", () => {
  const big = (counter: number): SubmitRun => run(counter, ["x".repeat(LIMITS.bodyBytes)]);

  it("is the state as of its watermark, though the leader has gone on, and is written only when that commits [R10]", async () => {
    const { clock, store, leader } = setUp();
    store.hold();
    for (let counter = 1; counter <= 6; counter += 1) {
      watch(leader.submit(big(counter)));
      await clock.advance(0);
    }
    expect(store.checkpoints).toEqual([]);
    for (const append of [...store.held]) {
      await append.commit();
      await clock.advance(0);
    }
    const [saved] = store.checkpoints;
    const { watermark, lastId, dedup } = decodeCheckpoint("standup", (saved ?? expect.fail("no checkpoint")).bytes);
    expect(saved).toMatchObject({ epoch: 5n, seq: 4 });
    expect(watermark.seq).toBe(4);
    expect(lastId).toBe(4000n);
    expect(dedup.producers).toMatchObject([{ id: 7n, lastCounter: 4n, lastSeq: 4n }]);
    const fourth = decodeBatch("standup", at(store.held, 3).row.bytes);
    expect(watermark.hash).toBe(fourth.hash);
  });
});
