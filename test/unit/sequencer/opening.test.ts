import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { EMPTY } from "../../../src/log/batch.ts";
import { encodeCheckpoint } from "../../../src/log/checkpoint.ts";
import { Dedup } from "../../../src/sequencer/dedup.ts";
import { Ledger, Opener } from "../../../src/sequencer/opening.ts";
import { batchAfter, CONVERSATION, endOf, put } from "../../support/chains.ts";
import { FakeTenure } from "../../support/fake-tenure.ts";
import { ScriptedLogStore } from "../../support/scripted-log-store.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

function setUp() {
  const clock = new VirtualClock();
  const store = new ScriptedLogStore();
  const ledger = new Ledger();
  const telemetry = new MemoryTelemetry();
  const random = { u32: () => 0, bytes: (n: number) => new Uint8Array(n) };
  const opener = new Opener({ store, clock, random, telemetry, ledger });
  const tenure = new FakeTenure(CONVERSATION, 5n);
  return { clock, store, ledger, telemetry, opener, tenure };
}

function checkpointAt(seq: number) {
  const watermark = { seq, hash: "ab".repeat(16) };
  return encodeCheckpoint({ watermark, lastId: 77n, dedup: new Dedup().snapshot() });
}

describe("opening a conversation", () => {
  it("writes the tail again under the new epoch, same bytes, before anything is answered [R7]", async () => {
    const { clock, store, opener, tenure } = setUp();
    const one = batchAfter(EMPTY, ["a"]);
    await put(store, 1n, one);
    store.hold();
    let opened = false;
    const opening = opener.open(tenure).then((result) => {
      opened = true;
      return result;
    });
    await clock.advance(10_000);
    expect(opened).toBe(false);
    const again = store.held[0] ?? expect.fail("nothing was written again");
    expect(again.row).toMatchObject({ firstSeq: 1, epoch: 5n, bytes: one.bytes });
    await again.commit();
    expect((await clock.until(opening)).opening.head).toEqual(endOf(one));
  });

  it("looks after it has written the tail again [R7]", async () => {
    const { clock, store, opener, tenure } = setUp();
    await put(store, 1n, batchAfter(EMPTY, ["a"]));
    store.hold();
    const opening = opener.open(tenure);
    await clock.advance(0);
    tenure.holds = false;
    await store.held[0]?.commit();
    await expect(clock.until(opening)).rejects.toMatchObject({ code: "UNAVAILABLE", retry: "elsewhere" });
    expect(tenure.released).toBe(true);
  });

  it("takes a new epoch when it was opened before under this one and not put aside [R8]", async () => {
    const { clock, opener, ledger, tenure } = setUp();
    ledger.enter(tenure);
    const { tenure: under } = await clock.until(opener.open(tenure));
    expect(under.epoch).toBe(6n);
  });

  it("does not take a checkpoint of its own epoch for a sign that the conversation was idle [R8]", async () => {
    const { clock, store, opener, ledger, tenure } = setUp();
    await store.saveCheckpoint(CONVERSATION, 5n, 3, checkpointAt(3));
    ledger.enter(tenure);
    const opening = clock.until(opener.open(tenure));
    await expect(opening.then((opened) => opened.tenure.epoch)).resolves.toBe(6n);
  });

  it("continues a conversation that was put aside from the checkpoint of its own epoch [R8]", async () => {
    const { clock, store, opener, tenure, ledger } = setUp();
    await store.saveCheckpoint(CONVERSATION, 5n, 3, checkpointAt(3));
    const opened = await clock.until(opener.open(tenure));
    expect(opened.tenure.epoch).toBe(5n);
    expect(opened.opening).toMatchObject({ head: { seq: 3 }, lastId: 77n, checkpointSeq: 3 });
    expect(ledger.inDoubt(tenure)).toBe(true);
  });

  it("does not lead where a checkpoint of a higher epoch stands, and asks who leads [R6] [R8]", async () => {
    const { clock, store, opener, tenure } = setUp();
    await store.saveCheckpoint(CONVERSATION, 9n, 3, checkpointAt(3));
    await expect(clock.until(opener.open(tenure))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("stays shut when the coordinator was rewound [R6]", async () => {
    const { clock, store, opener, tenure, telemetry } = setUp();
    await store.saveCheckpoint(CONVERSATION, 9n, 3, checkpointAt(3));
    tenure.verdict = "rewound";
    await expect(clock.until(opener.open(tenure))).rejects.toMatchObject({ code: "CORRUPT" });
    expect(telemetry.events()).toContain("coordinator.rewound");
  });

  it("takes a new epoch where rows of its own stand already [R6]", async () => {
    const { clock, store, opener, tenure } = setUp();
    const one = batchAfter(EMPTY, ["a"]);
    await put(store, 5n, one);
    tenure.verdict = "own";
    const opened = await clock.until(opener.open(tenure));
    expect(opened.tenure.epoch).toBe(6n);
    expect(opened.opening.head).toEqual(endOf(one));
  });

  it("may start over under the same epoch when it has written nothing [R8]", async () => {
    const { clock, opener, ledger, tenure, store } = setUp();
    tenure.sealed = true;
    await expect(clock.until(opener.open(tenure))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(ledger.inDoubt(tenure)).toBe(false);
    expect(store.appends).toEqual([]);
  });

  it("stays in doubt when it failed after it began to write the tail again [R8]", async () => {
    const { clock, opener, ledger, tenure, store } = setUp();
    await put(store, 1n, batchAfter(EMPTY, ["a"]));
    store.hold();
    const opening = opener.open(tenure);
    await clock.advance(0);
    tenure.sealed = true;
    await store.held[0]?.lose({ applied: false });
    await expect(clock.until(opening)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(ledger.inDoubt(tenure)).toBe(true);
  });
});
