import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../../sim/clock.ts";
import { Gather } from "../../../../src/adapters/cassandra/gather.ts";
import { Deferred } from "../../../../src/kernel/deferred.ts";

/** What was sent, and the answers to give. */
function gathering(atOnce: number) {
  const clock = new VirtualClock();
  const sent: { readonly all: readonly number[]; readonly answer: Deferred<string> }[] = [];
  const gather = new Gather<number, string>({
    atOnce,
    clock,
    send: (all) => {
      const answer = new Deferred<string>();
      sent.push({ all: [...all], answer });
      return answer.promise;
    },
  });
  return { clock, gather, sent, all: () => sent.map((call) => call.all) };
}

describe("calls that are gathered", () => {
  it("leave as one when they come in one turn, and all get its answer", async () => {
    const { clock, gather, sent, all } = gathering(2);
    const answers = Promise.all([1, 2, 3].map((one) => gather.call(one)));
    await clock.advance(0);
    expect(all()).toEqual([[1, 2, 3]]);
    sent[0]?.answer.resolve("done");
    expect(await answers).toEqual(["done", "done", "done"]);
  });

  it("never join one that was sent, and wait together while as many as may are on their way", async () => {
    const { clock, gather, sent, all } = gathering(2);
    for (const one of [1, 2, 3, 4, 5]) {
      void gather.call(one);
      await clock.advance(0);
    }
    expect(all()).toEqual([[1], [2]]);
    sent[1]?.answer.resolve("done");
    await clock.advance(0);
    expect(all()).toEqual([[1], [2], [3, 4, 5]]);
  });

  it("fail together, and the next ones are sent all the same", async () => {
    const { clock, gather, sent, all } = gathering(1);
    const failed = [1, 2].map((one) => gather.call(one).catch(String));
    await clock.advance(0);
    const next = gather.call(3);
    sent[0]?.answer.reject(new Error("no majority"));
    expect(await Promise.all(failed)).toEqual(["Error: no majority", "Error: no majority"]);
    await clock.advance(0);
    sent[1]?.answer.resolve("done");
    expect(await next).toBe("done");
    expect(all()).toEqual([[1, 2], [3]]);
  });
});
