import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ID_EPOCH_MS, IdLayout, type IdWidths } from "../../../src/ids/layout.ts";

const layout = new IdLayout();

describe("the layout of ids", () => {
  it("puts 41 bits of milliseconds since 2024 above 10 bits of worker and 12 bits of counter", () => {
    expect(ID_EPOCH_MS).toBe(Date.parse("2024-01-01T00:00:00Z"));
    expect(layout.compose({ utcMs: ID_EPOCH_MS, worker: 0, counter: 0 })).toBe(0n);
    expect(layout.compose({ utcMs: ID_EPOCH_MS, worker: 0, counter: 1 })).toBe(1n);
    expect(layout.compose({ utcMs: ID_EPOCH_MS, worker: 1, counter: 0 })).toBe(1n << 12n);
    expect(layout.compose({ utcMs: ID_EPOCH_MS + 1, worker: 0, counter: 0 })).toBe(1n << 22n);
  });

  it("fills 63 bits and lasts until 2093", () => {
    expect(layout.compose({ utcMs: layout.lastUtcMs, worker: 1_023, counter: 4_095 })).toBe(2n ** 63n - 1n);
    expect(new Date(layout.lastUtcMs).toISOString()).toBe("2093-09-06T15:47:35.551Z");
  });

  it("gives back the parts that an id was made of, whatever the widths", () => {
    const cases = fc
      .record({ workerBits: fc.integer({ min: 1, max: 12 }), counterBits: fc.constantFrom(12) })
      .map(({ workerBits, counterBits }) => new IdLayout({ timeBits: 63 - workerBits - counterBits, workerBits, counterBits }))
      .chain((tried) =>
        fc.record({
          tried: fc.constant(tried),
          utcMs: fc.integer({ min: ID_EPOCH_MS, max: tried.lastUtcMs }),
          worker: fc.integer({ min: 0, max: tried.workers - 1 }),
          counter: fc.integer({ min: 0, max: tried.counters - 1 }),
        }),
      );
    fc.assert(
      fc.property(cases, ({ tried, ...parts }) => {
        const id = tried.compose(parts);
        expect(tried.decompose(id)).toEqual(parts);
        expect(id < 2n ** 63n).toBe(true);
      }),
    );
  });

  it("orders ids by time, then worker, then counter", () => {
    const part = fc.record({
      utcMs: fc.integer({ min: ID_EPOCH_MS, max: ID_EPOCH_MS + 3 }),
      worker: fc.integer({ min: 0, max: 2 }),
      counter: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(part, part, (a, b) => {
        const byParts = a.utcMs - b.utcMs || a.worker - b.worker || a.counter - b.counter;
        const byIds = layout.compose(a) - layout.compose(b);
        expect(Math.sign(Number(byIds))).toBe(Math.sign(byParts));
      }),
    );
  });

  it.each<[string, IdWidths]>([
    ["62 bits", { timeBits: 40, workerBits: 10, counterBits: 12 }],
    ["half a bit", { timeBits: 40.5, workerBits: 10.5, counterBits: 12 }],
    ["too short a time", { timeBits: 38, workerBits: 13, counterBits: 12 }],
    ["no worker number", { timeBits: 51, workerBits: 0, counterBits: 12 }],
    ["fewer ids a millisecond than a call may ask for", { timeBits: 42, workerBits: 10, counterBits: 11 }],
  ])("refuses widths with %s", (_what, widths) => {
    expect(() => new IdLayout(widths)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it("refuses to take apart what is no id", () => {
    expect(() => layout.decompose(-1n)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(() => layout.decompose(2n ** 63n)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});
