import { beforeEach, describe, expect, it } from "vitest";
import { type Batch, EMPTY } from "../../../src/log/batch.ts";
import { Chain } from "../../../src/log/chain.ts";
import { batchAfter, CONVERSATION, endOf } from "../../support/chains.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

const first = batchAfter(EMPTY, ["a", "b"]);
const second = batchAfter(endOf(first), ["c"]);
const third = batchAfter(endOf(second), ["d", "e"]);
/** A dead leader's batch in the place of `third`. */
const dead = batchAfter(endOf(second), ["x", "y"]);

describe("the chain", () => {
  let telemetry: MemoryTelemetry;
  let chain: Chain;

  beforeEach(() => {
    telemetry = new MemoryTelemetry();
    chain = new Chain(CONVERSATION, telemetry);
  });

  const add = (...batches: readonly Batch[]) => {
    for (const batch of batches) chain.add(batch);
  };
  const seqs = (seq: number, upTo = 1_000) => chain.from(seq, upTo)?.map(({ firstSeq }) => firstSeq);

  it("trusts nothing without a watermark [R5]", () => {
    add(first, second, third);
    expect(seqs(1)).toBeUndefined();
  });

  it("trusts what is reached backwards from a watermark, and nothing above it [R5]", () => {
    add(third, first, second);
    chain.learn(endOf(second));
    expect(seqs(1)).toEqual([1, 3]);
    expect(seqs(2)).toEqual([1, 3]);
    expect(seqs(3)).toEqual([3]);
    expect(seqs(4)).toBeUndefined();
  });

  it("chooses among batches of one seq by the watermark's hash [R5]", () => {
    add(first, second, dead, third);
    chain.learn(endOf(third));
    expect(chain.from(1, 1_000)).toEqual([first, second, third]);
  });

  it("goes up to the highest watermark that is not above the limit", () => {
    add(first, second, third);
    for (const batch of [first, second, third]) chain.learn(endOf(batch));
    expect(seqs(1)).toEqual([1, 3, 4]);
    expect(seqs(1, 4)).toEqual([1, 3]);
    expect(seqs(1, 1)).toBeUndefined();
  });

  it("stops below a hole, at a watermark whose chain is whole [R5]", () => {
    add(first, third);
    chain.learn(endOf(third));
    expect(seqs(1)).toBeUndefined();
    chain.learn(endOf(first));
    expect(seqs(1)).toEqual([1]);
    expect(seqs(4)).toEqual([4]);
  });

  it("proves nothing by a watermark whose seq is not where its batch ends", () => {
    add(first, second);
    chain.learn({ seq: 4, hash: second.hash });
    expect(seqs(1)).toBeUndefined();
  });

  it("stops for a fork when one seq has two watermarks, and names both [R5]", () => {
    chain.learn(endOf(third));
    expect(() => chain.learn(endOf(dead))).toThrow(
      expect.objectContaining({
        code: "CORRUPT",
        details: { conversation: CONVERSATION, seq: "5", hash: third.hash, otherHash: dead.hash },
      }),
    );
    expect(telemetry.lines).toMatchObject([{ level: "error", event: "log.fork", fields: { seq: "5" } }]);
  });

  it("knows the watermark of the empty log", () => {
    chain.learn(EMPTY);
    expect(() => chain.learn({ seq: 0, hash: third.hash })).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });

  it("stops for a fork when a watermark lies inside a batch that another one proves [R5]", () => {
    add(first, second, third);
    chain.learn(endOf(third));
    chain.learn({ seq: 4, hash: dead.hash });
    expect(() => chain.from(1, 1_000)).toThrow(expect.objectContaining({ code: "CORRUPT" }));
    expect(telemetry.events()).toEqual(["log.fork"]);
  });
});
