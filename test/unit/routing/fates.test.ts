import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FatesSchema } from "../../../src/gen/meridian/v1/peer_pb.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { fatesFromWire, fatesToWire } from "../../../src/routing/fates.ts";
import type { Fate } from "../../../src/routing/leaders.ts";

function placed(seq: number, id = BigInt(seq + 1_000)): Fate {
  return { kind: "placed", seq, id };
}

/** There and back, as bytes. */
function travel(fates: readonly Fate[], count = fates.length): readonly Fate[] {
  const bytes = toBinary(FatesSchema, create(FatesSchema, { runs: fatesToWire(fates) }));
  return fatesFromWire(fromBinary(FatesSchema, bytes), count);
}

describe("fates on the wire", () => {
  it("are one run where seqs and ids go up together", () => {
    expect(fatesToWire([placed(5), placed(6), placed(7)])).toEqual([
      { count: 3, fate: { case: "placed", value: { seq: 5n, id: 1_005n } } },
    ]);
  });

  it("begin a new run at a jump of the seq or of the id, and at another kind of fate", () => {
    const error = new MeridianError("KEY_CONFLICT", "used");
    const refused: Fate = { kind: "refused", error };
    const runs = fatesToWire([placed(5), placed(7), placed(8, 1n), { kind: "skipped", seq: 9, id: 2n }, refused, refused]);
    expect(runs.map(({ count, fate }) => [count, fate?.case])).toEqual([
      [1, "placed"],
      [1, "placed"],
      [1, "placed"],
      [1, "skipped"],
      [2, "error"],
    ]);
  });

  it("arrive as they were sent, errors with code, retry, advice and details [G6]", () => {
    const kinds = fc.constantFrom("placed" as const, "skipped" as const);
    const place = fc.record(
      { kind: kinds, seq: fc.integer({ min: 1, max: 6 }), id: fc.bigInt(1n, 6n) },
      { noNullPrototype: true },
    );
    const fates = fc.array(place, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fates, (sent) => {
        expect(travel(sent)).toEqual(sent);
      }),
    );

    const error = new MeridianError("COUNTER_GAP", "too early", { advice: "Wait.", details: { wanted: "4" } });
    const [fate] = travel([{ kind: "refused", error }]);
    expect(fate).toMatchObject({
      kind: "refused",
      error: { code: "COUNTER_GAP", message: "too early", retry: "backoff", advice: "Wait.", details: { wanted: "4" } },
    });
  });

  it.each([
    ["fewer", 2],
    ["more", 4],
  ])("are refused when there are not as many as messages: %s were sent", (_, count) => {
    expect(() => travel([placed(1), placed(2), placed(3)], count)).toThrow(`a leader gave 3 fates for ${count} messages`);
  });

  it("are refused when one of them is none, before anything is made of a count", () => {
    const wire = create(FatesSchema, { runs: [{ count: 4_000_000_000 }] });
    expect(() => fatesFromWire(wire, 1)).toThrow("4000000000 fates for 1 messages");
    expect(() => fatesFromWire(create(FatesSchema, { runs: [{ count: 1 }] }), 1)).toThrow("does not know");
  });
});
