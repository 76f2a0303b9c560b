import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, EntrySchema } from "../../../src/gen/meridian/v1/stored_pb.ts";
import { PayloadSchema } from "../../../src/gen/meridian/v1/types_pb.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { EMPTY } from "../../../src/log/batch.ts";
import { encodeCheckpoint } from "../../../src/log/checkpoint.ts";
import { type Candidate, Dedup } from "../../../src/sequencer/dedup.ts";
import { payload } from "../../support/sends.ts";

const NO_KEY = new Uint8Array();
const text = new TextEncoder();

function candidate(counter: number, body: string, options: Partial<Candidate> = {}): Candidate {
  return { producer: 7n, sender: "ada", counter, key: NO_KEY, payload: payload(body), skip: false, base: undefined, ...options };
}

function entry(from: Candidate): Entry {
  const { producer, sender, key, skip } = from;
  return create(EntrySchema, {
    producer,
    sender,
    counter: BigInt(from.counter),
    key: skip ? NO_KEY : key,
    payload: skip ? NO_KEY : from.payload,
    void: skip,
  });
}

function applied(...candidates: Candidate[]): Dedup {
  const dedup = new Dedup();
  for (const [i, c] of candidates.entries()) dedup.apply(i + 1, BigInt(1000 * (i + 1)), [entry(c)]);
  return dedup;
}

describe("dedup by a producer's counter", () => {
  it("gives a repeat the seq and id of the first try [G3]", () => {
    const dedup = applied(candidate(1, "a"), candidate(2, "b"));
    expect(dedup.judge(candidate(2, "b"))).toEqual({ kind: "repeat", seq: 2, id: 2000n, skipped: false });
    expect(dedup.judge(candidate(1, "a"))).toEqual({ kind: "repeat", seq: 1, id: 1000n, skipped: false });
    expect(dedup.judge(candidate(3, "c"))).toEqual({ kind: "new" });
  });

  it("never acknowledges other content under a used counter", () => {
    const verdict = applied(candidate(1, "a")).judge(candidate(1, "other"));
    expect(verdict).toMatchObject({ kind: "refused", error: { code: "PRODUCER_CONFLICT" } });
  });

  it("names the counter that must come first [G7]", () => {
    expect(applied(candidate(1, "a")).judge(candidate(3, "c"))).toEqual({ kind: "early", wanted: 2 });
    expect(new Dedup().judge(candidate(2, "b"))).toEqual({ kind: "early", wanted: 1 });
  });

  it("refuses a producer to another sender", () => {
    const verdict = applied(candidate(1, "a")).judge(candidate(2, "b", { sender: "mallory" }));
    expect(verdict).toMatchObject({ kind: "refused", error: { code: "PERMISSION_DENIED" } });
  });

  it("tells a late copy of a skipped counter that a void stands in its place [G6]", () => {
    const dedup = applied(candidate(1, "a"), candidate(2, "", { skip: true }));
    expect(dedup.judge(candidate(2, "b"))).toEqual({ kind: "repeat", seq: 2, id: 2000n, skipped: true });
  });

  it("answers a skip that came too late with the place of the message [G6]", () => {
    expect(applied(candidate(1, "a")).judge(candidate(1, "", { skip: true }))).toMatchObject({ seq: 1, skipped: false });
  });

  it("forgets the least recently used producer and never takes it for new again [G3]", () => {
    const dedup = new Dedup();
    for (let i = 0; i <= LIMITS.dedupProducers; i += 1) {
      dedup.apply(i + 1, BigInt(i + 1), [entry(candidate(1, "a", { producer: BigInt(100 + i) }))]);
    }
    const forgotten = dedup.judge(candidate(1, "a", { producer: 100n }));
    expect(forgotten).toMatchObject({ kind: "refused", error: { code: "PRODUCER_EXPIRED" } });
    expect(dedup.judge(candidate(2, "b", { producer: 99n }))).toMatchObject({ error: { code: "PRODUCER_EXPIRED" } });
    expect(dedup.judge(candidate(1, "a", { producer: 101n }))).toMatchObject({ kind: "repeat", seq: 2 });
  });

  it("refuses what was used before the window, but still knows each producer's last send [G3] [G9]", () => {
    const dedup = applied(candidate(1, "a"), candidate(2, "b"));
    const filler = entry(candidate(0, "x", { producer: 0n }));
    dedup.apply(3, 3000n, new Array(LIMITS.dedupMessages).fill(filler));
    expect(dedup.judge(candidate(1, "a"))).toMatchObject({ kind: "refused", error: { code: "PRODUCER_EXPIRED" } });
    expect(dedup.judge(candidate(2, "b"))).toMatchObject({ kind: "repeat", seq: 2, id: 2000n });
    expect(dedup.judge(candidate(3, "c"))).toEqual({ kind: "new" });
  });

  // Seed 1004875903: a client asked for its last send, which it had given up, when the window had passed, and was told that it
  // is committed; readers were shown a void there.
  it("still knows before the window that a producer's last send was given up, also from a checkpoint [G6]", () => {
    const dedup = applied(candidate(1, "a"), candidate(2, "b", { skip: true }));
    const filler = entry(candidate(0, "x", { producer: 0n }));
    dedup.apply(3, 3000n, new Array(LIMITS.dedupMessages).fill(filler));
    for (const each of [dedup, Dedup.restore(dedup.snapshot(), LIMITS.dedupMessages + 2)]) {
      expect(each.judge(candidate(2, "b"))).toEqual({ kind: "repeat", seq: 2, id: 2000n, skipped: true });
    }
  });
});

describe("dedup by key", () => {
  const keyed = (body: string, key: string, more: Partial<Candidate> = {}) =>
    candidate(0, body, { producer: 0n, key: text.encode(key), ...more });

  it("recognises a key without a session [G3]", () => {
    const dedup = applied(keyed("a", "k1"));
    expect(dedup.judge(keyed("a", "k1"))).toEqual({ kind: "known-key", seq: 1, id: 1000n, due: false });
    expect(dedup.judge(keyed("a", "k2"))).toEqual({ kind: "new" });
    expect(dedup.judge(keyed("b", "k1"))).toMatchObject({ kind: "refused", error: { code: "KEY_CONFLICT" } });
  });

  it("takes type and body for the content of a key: its sender repeats it at another time [G3]", () => {
    const later = toBinary(PayloadSchema, create(PayloadSchema, { type: "text/plain", body: text.encode("a"), sentAtMs: 99n }));
    const other = toBinary(PayloadSchema, create(PayloadSchema, { type: "text/html", body: text.encode("a"), sentAtMs: 1n }));
    const dedup = applied(keyed("a", "k1"));
    expect(dedup.judge(keyed("a", "k1", { payload: later }))).toMatchObject({ kind: "known-key", seq: 1 });
    expect(dedup.judge(keyed("a", "k1", { payload: other }))).toMatchObject({ error: { code: "KEY_CONFLICT" } });
  });

  it("uses up the counter of a session whose key another session has used", () => {
    const dedup = applied(keyed("a", "k1"));
    const again = keyed("a", "k1", { producer: 7n, counter: 1 });
    expect(dedup.judge(again)).toEqual({ kind: "known-key", seq: 1, id: 1000n, due: true });
    dedup.apply(2, 2000n, [entry({ ...again, skip: true })]);
    expect(dedup.judge(again)).toEqual({ kind: "known-key", seq: 1, id: 1000n, due: false });
  });

  it("refuses a try whose window has passed instead of accepting it twice [G3]", () => {
    const dedup = applied(keyed("a", "k1", { base: 0 }));
    const filler = entry(candidate(0, "x", { producer: 0n }));
    dedup.apply(2, 2000n, new Array(LIMITS.dedupMessages).fill(filler));
    expect(dedup.judge(keyed("a", "k1", { base: 0 }))).toMatchObject({ error: { code: "KEY_WINDOW_PASSED" } });
    expect(dedup.judge(keyed("a", "k1", { base: 1 }))).toEqual({ kind: "new" });
  });
});

describe("the dedup state", () => {
  it("is a function of the log: a restored checkpoint and the rest of the log give the same state [R10]", () => {
    const message = fc.record({
      producer: fc.integer({ min: 0, max: 3 }),
      body: fc.string({ maxLength: 3 }),
      key: fc.option(fc.constantFrom("k1", "k2", "k3")),
      skip: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 60 }), fc.nat(60), (messages, cut) => {
        const counters = [0, 0, 0, 0];
        const log = messages.map(({ producer, body, key, skip }) => {
          counters[producer] = (counters[producer] as number) + 1;
          const options = { producer: BigInt(producer), key: text.encode(key ?? ""), skip: skip && producer > 0 };
          return entry(candidate(producer === 0 ? 0 : (counters[producer] as number), body, options));
        });
        const whole = new Dedup();
        whole.apply(1, 5n, log);
        const half = new Dedup();
        half.apply(1, 5n, log.slice(0, cut));
        const seq = Math.min(cut, log.length);
        const restored = Dedup.restore(half.snapshot(), seq);
        restored.apply(seq + 1, 5n + BigInt(seq), log.slice(cut));
        expect(restored.snapshot()).toEqual(whole.snapshot());
      }),
    );
  });

  it("fits into a checkpoint with a full window of keyed messages of as many producers as are kept [G9]", () => {
    const dedup = new Dedup();
    for (let seq = 1; seq <= LIMITS.dedupMessages; seq += 1) {
      const producer = 2n ** 62n + BigInt(seq % LIMITS.dedupProducers);
      const counter = 4_000_000_000 + Math.floor(seq / LIMITS.dedupProducers);
      dedup.apply(seq, 2n ** 62n + BigInt(seq), [entry(candidate(counter, "", { producer, key: text.encode(`k${seq}`) }))]);
    }
    const bytes = encodeCheckpoint({ watermark: EMPTY, lastId: 0n, dedup: dedup.snapshot() });
    expect(bytes.length).toBeLessThanOrEqual(LIMITS.checkpointBytes);
  }, 60_000);
});
