import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { Pages } from "../../../src/gateway/pages.ts";
import { Deferred } from "../../../src/kernel/deferred.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type Batch, EMPTY } from "../../../src/log/batch.ts";
import { batchAfter, endOf } from "../../support/chains.ts";

/** Pages of a source whose reads end when the test says. */
function pagesOf() {
  const clock = new VirtualClock();
  const batch = batchAfter(EMPTY, ["a"]);
  const reads: { readonly conversation: string; readonly page: Deferred<readonly Batch[]> }[] = [];
  const source = {
    page: (conversation: string) => {
      const page = new Deferred<readonly Batch[]>();
      reads.push({ conversation, page });
      return page.promise;
    },
  };
  const pages = new Pages({ source, clock });
  const results: string[] = [];
  const read = (conversation: string) => {
    pages.read(conversation, 0, endOf(batch), 1_000).then(
      (page) => results.push(`${conversation} ${page.length}`),
      (error: unknown) => results.push(`${conversation} ${(error as { code: string }).code}`),
    );
  };
  return { clock, batch, reads, results, read };
}

describe("Pages", () => {
  it("reads only so many together, and the others in the order of asking [G9]", async () => {
    const { clock, batch, reads, results, read } = pagesOf();
    for (let i = 0; i < LIMITS.pagesAtOnce + 3; i += 1) read(`c${i}`);
    await clock.advance(0);
    expect(reads).toHaveLength(LIMITS.pagesAtOnce);
    reads[5]?.page.resolve([batch]);
    reads[9]?.page.reject(new Error("the store is gone"));
    await clock.advance(0);
    expect(results).toEqual(["c5 1", "c9 INTERNAL"]);
    expect(reads.slice(LIMITS.pagesAtOnce).map(({ conversation }) => conversation)).toEqual(["c64", "c65"]);
  });

  it("makes nobody wait longer than 10 s, neither for a place nor for the store [G9]", async () => {
    const { clock, batch, reads, results, read } = pagesOf();
    for (let i = 0; i < LIMITS.pagesAtOnce; i += 1) read(`c${i}`);
    await clock.advance(1);
    read("late");
    await clock.advance(LIMITS.callDeadlineMs - 2);
    expect(results).toEqual([]);
    await clock.advance(1);
    expect(results).toHaveLength(LIMITS.pagesAtOnce);
    expect(new Set(results.map((result) => result.split(" ")[1]))).toEqual(new Set(["UNAVAILABLE"]));
    reads.at(-1)?.page.resolve([batch]);
    await clock.advance(0);
    expect(results.at(-1)).toBe("late 1");
  });

  it("answers OVERLOADED to who gets no place in time [G9]", async () => {
    const { clock, batch, reads, results, read } = pagesOf();
    for (let i = 0; i < 2 * LIMITS.pagesAtOnce; i += 1) read(`c${i}`);
    await clock.advance(1);
    // The places are taken again at once by the second half, so that the third waits for its whole time.
    for (let i = 0; i < LIMITS.pagesAtOnce; i += 1) read(`late ${i}`);
    await clock.advance(5_000);
    for (const { page } of [...reads]) page.resolve([batch]);
    await clock.advance(LIMITS.callDeadlineMs - 5_000);
    expect(reads).toHaveLength(2 * LIMITS.pagesAtOnce);
    const late = results.filter((result) => result.startsWith("late"));
    expect(late).toEqual(Array.from({ length: LIMITS.pagesAtOnce }, (_, i) => `late ${i} OVERLOADED`));
  });

  it("shares one read among all who want the same page, and reads again afterwards", async () => {
    const { clock, batch, reads, results, read } = pagesOf();
    for (let i = 0; i < 10; i += 1) read("same");
    await clock.advance(0);
    expect(reads).toHaveLength(1);
    reads[0]?.page.resolve([batch]);
    await clock.advance(0);
    expect(results).toEqual(Array.from({ length: 10 }, () => "same 1"));
    read("same");
    await clock.advance(0);
    expect(reads).toHaveLength(2);
  });

  it("takes an empty page for a failure of the store: it is asked only for what is committed", async () => {
    const { clock, reads, results, read } = pagesOf();
    read("empty");
    await clock.advance(0);
    reads[0]?.page.resolve([]);
    await clock.advance(0);
    expect(results).toEqual(["empty UNAVAILABLE"]);
  });
});
