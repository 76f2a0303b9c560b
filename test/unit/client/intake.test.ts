import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Intake } from "../../../src/client/intake.ts";
import type { Batch } from "../../../src/log/batch.ts";
import { ScriptedLog } from "./scripted-gateway.ts";

/** A log of batches with these many messages each. */
function logOf(sizes: readonly number[]): ScriptedLog {
  const log = new ScriptedLog("standup");
  for (const [i, size] of sizes.entries()) log.say(...Array.from({ length: size }, (_, j) => `${i}.${j}`));
  return log;
}

function seqsOf(intake: Intake): number[] {
  const seqs: number[] = [];
  for (let item = intake.next(); item !== undefined; item = intake.next()) {
    seqs.push(item.seq);
    intake.release(item);
  }
  return seqs;
}

const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe("intake", () => {
  it("makes one sequence without gap or repeat of batches in any order, any number of times [G1] [G4]", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        fc.nat(),
        (sizes, picks, start) => {
          const log = logOf(sizes);
          const after = start % (log.head.seq + 1);
          const intake = new Intake("standup", after);
          const seqs: number[] = [];
          const offer = (batch: Batch) => {
            intake.accept({ batch, credit: batch.bytes.length });
            seqs.push(...seqsOf(intake));
          };
          for (const pick of picks) offer(log.batches[pick % log.batches.length] as Batch);
          // Whatever was missed is fetched, hole by hole.
          for (let hole = intake.hole; hole !== undefined; hole = intake.hole) {
            const missing = log.from(hole.fromSeq)[0] as Batch;
            expect(missing.firstSeq).toBeLessThanOrEqual(hole.toSeq);
            offer(missing);
          }
          expect(seqs).toEqual(from(after + 1, intake.tipSeq));
          expect(intake.heldCredit).toBe(0);
          expect(intake.readyBytes).toBe(0);
          for (const batch of log.from(intake.tipSeq + 1)) offer(batch);
          expect(seqs).toEqual(from(after + 1, log.head.seq));
          if (log.head.seq > after) expect(intake.proof).toEqual(log.head);
        },
      ),
    );
  });

  it("hands over nothing behind a batch that was changed, whichever it is and in whatever order they come [G1]", () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 8 }), fc.nat(), fc.boolean(), (count, pick, backwards) => {
        const log = logOf(Array.from({ length: count }, () => 2));
        const other = new ScriptedLog("standup");
        other.lastId = 9_000n;
        for (let i = 0; i < count; i += 1) other.say("evil", `${i}`);
        const changedAt = 1 + (pick % (count - 2));
        const batches = log.batches.map((batch, i) => (i === changedAt ? (other.batches[i] as Batch) : batch));
        const intake = new Intake("standup", 0);
        const offer = () => {
          for (const batch of backwards ? batches.toReversed() : batches) intake.accept({ batch, credit: 1 });
        };
        expect(offer).toThrow(expect.objectContaining({ code: "CORRUPT" }));
        expect(seqsOf(intake)).toEqual(from(1, 2 * changedAt));
      }),
    );
  });

  it("names a hole exactly", () => {
    const log = logOf([1, 1, 1, 1]);
    const intake = new Intake("standup", 0);
    expect(intake.hole).toBeUndefined();
    intake.accept({ batch: log.batches[2] as Batch, credit: 0 });
    expect(intake.hole).toEqual({ fromSeq: 1, toSeq: 2 });
    intake.accept({ batch: log.batches[0] as Batch, credit: 0 });
    expect(intake.hole).toEqual({ fromSeq: 2, toSeq: 2 });
    intake.accept({ batch: log.batches[1] as Batch, credit: 0 });
    expect(intake.hole).toBeUndefined();
  });

  it("refuses a batch that overlaps what it has", () => {
    const log = logOf([2]);
    const overlapping = new ScriptedLog("standup");
    overlapping.say("x", "y", "z");
    const intake = new Intake("standup", 0);
    intake.accept({ batch: log.batches[0] as Batch, credit: 0 });
    expect(() => intake.accept({ batch: overlapping.batches[0] as Batch, credit: 0 })).toThrow(
      expect.objectContaining({ code: "CORRUPT", details: { conversation: "standup", seq: "1" } }),
    );
  });

  it("believes the first hash that a node vouches for, and nobody who contradicts it", () => {
    const log = logOf([1, 1]);
    const intake = new Intake("standup", 0);
    intake.vouch({ seq: 2, hash: "ee".repeat(16) });
    intake.accept({ batch: log.batches[0] as Batch, credit: 0 });
    expect(() => intake.accept({ batch: log.batches[1] as Batch, credit: 0 })).toThrow(/does not chain at seq 2/);
    intake.distrust();
    intake.accept({ batch: log.batches[1] as Batch, credit: 0 });
    expect(seqsOf(intake)).toEqual([1, 2]);
  });

  it("goes on behind a range that is gone, and says which it is", () => {
    const log = logOf([1, 1, 1, 1]);
    const intake = new Intake("standup", 0);
    intake.accept({ batch: log.batches[0] as Batch, credit: 0 });
    intake.accept({ batch: log.batches[1] as Batch, credit: 7 });
    intake.accept({ batch: log.batches[3] as Batch, credit: 5 });
    expect(intake.jump("truncated", 3)).toBe(0);
    const kinds = [intake.next(), intake.next(), intake.next(), intake.next()];
    expect(kinds).toMatchObject([
      { kind: "entry", seq: 1 },
      { kind: "entry", seq: 2 },
      { kind: "truncated", after: 2, seq: 3 },
      { kind: "entry", seq: 4 },
    ]);
    expect(intake.jump("moved", 2)).toBe(0);
    expect(intake.next()).toBeUndefined();
  });
});
