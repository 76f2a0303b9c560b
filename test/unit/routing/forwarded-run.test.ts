import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ForwardedRunSchema } from "../../../src/gen/meridian/v1/peer_pb.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { bytesOfRun, portionsOf, runFromWire, runToWire } from "../../../src/routing/forwarded-run.ts";
import type { SubmitRun } from "../../../src/routing/leaders.ts";
import { item, run } from "../../support/sends.ts";

function travel(sent: SubmitRun): SubmitRun {
  return runFromWire(
    fromBinary(ForwardedRunSchema, toBinary(ForwardedRunSchema, create(ForwardedRunSchema, runToWire(9, sent)))),
  );
}

describe("a forwarded run", () => {
  it("arrives as it was sent: counters, keys, skips, floors", () => {
    const sent = run(41, ["a", item("b", { key: "k" }), item("", { skip: true })], {
      aboveId: 2n ** 63n,
      producer: 2n ** 64n - 1n,
    });
    const got = travel(sent);
    expect(got).toMatchObject({
      ...sent,
      items: sent.items.map((one) => ({ ...one, payload: expect.anything(), key: expect.anything() })),
    });
    expect(got.items.map(({ payload, key }) => [[...payload], [...key]])).toEqual(
      sent.items.map(({ payload, key }) => [[...payload], [...key]]),
    );
    expect(got.base).toBeUndefined();
  });

  it("keeps the difference between a base of 0 and none [G3]", () => {
    expect(travel(run(0, [item("a", { key: "k" })], { producer: 0n, base: 0 })).base).toBe(0);
    expect(travel(run(0, [item("a", { key: "k" })], { producer: 0n })).base).toBeUndefined();
  });

  it("travels in one piece while it is small", () => {
    const small = run(1, ["a", "b"]);
    expect(portionsOf(small)).toEqual([small]);
  });

  it("travels in portions of consecutive counters when it is large [G7, G9]", () => {
    const big = run(
      10,
      Array.from({ length: 7 }, (_, i) => `${i}${"x".repeat(200 * 1_024)}`),
    );
    const portions = portionsOf(big);
    expect(portions.map(({ firstCounter, items }) => [firstCounter, items.length])).toEqual([
      [10, 2],
      [12, 2],
      [14, 2],
      [16, 1],
    ]);
    expect(portions.flatMap(({ items }) => items)).toEqual(big.items);
    for (const portion of portions) expect(bytesOfRun(portion)).toBeLessThan(LIMITS.deliveryBytes + LIMITS.bodyBytesCeiling);
  });

  it("leaves a single message whole, whatever its size", () => {
    const huge = run(1, ["x".repeat(LIMITS.deliveryBytes * 2), "y"]);
    expect(portionsOf(huge).map(({ items }) => items.length)).toEqual([1, 1]);
  });
});
