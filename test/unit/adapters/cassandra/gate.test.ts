import { describe, expect, it } from "vitest";
import { Gate } from "../../../../src/adapters/cassandra/gate.ts";
import { Deferred } from "../../../../src/kernel/deferred.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";

const TRY_MS = 1_000;

describe("the gate before Cassandra", () => {
  /** A gate, the work inside it, and a clock. */
  const world = () => {
    let nowMs = 0;
    const gate = new Gate({ clock: { monotonicMs: () => nowMs } });
    const inside: Deferred<void>[] = [];
    const begun: number[] = [];
    const outcomes: Promise<void>[] = [];
    const enter = (count: number) => {
      for (let done = 0; done < count; done++) {
        const number = outcomes.length;
        outcomes.push(
          gate.run(TRY_MS, () => {
            begun.push(number);
            const work = new Deferred<void>();
            inside.push(work);
            return work.promise;
          }),
        );
      }
    };
    /** All that is inside ends after so long. */
    const end = async (tookMs: number) => {
      nowMs += tookMs;
      for (const work of inside.splice(0)) work.resolve();
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { gate, enter, end, inside, begun, outcomes };
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it("lets so many go together, and the others in the order of their coming", async () => {
    const { enter, end, inside, begun } = world();
    enter(LIMITS.cassandraInFlightFirst + 3);
    await settle();
    expect(inside).toHaveLength(LIMITS.cassandraInFlightFirst);
    await end(1);
    expect(begun).toEqual(Array.from({ length: LIMITS.cassandraInFlightFirst + 3 }, (_, at) => at));
  });

  it("lets more go while Cassandra is quick, and fewer when it is slow, within limits", async () => {
    const { enter, end, inside } = world();
    enter(20_000);
    await settle();
    for (let round = 0; round < 15; round++) await end(10);
    expect(inside.length).toBe(LIMITS.cassandraInFlightMost);
    await end(TRY_MS);
    expect(inside.length).toBe(LIMITS.cassandraInFlightLeast);
    await end(TRY_MS * 0.6);
    expect(inside.length).toBe(LIMITS.cassandraInFlightLeast);
  });

  it("takes no more than a bounded queue, and says so", async () => {
    const { enter, gate } = world();
    enter(LIMITS.cassandraInFlightFirst + LIMITS.cassandraQueue);
    await expect(gate.run(TRY_MS, async () => {})).rejects.toMatchObject({ code: "OVERLOADED" });
  });

  it("passes on what the work throws, and lets the next one in", async () => {
    const { gate } = world();
    for (let done = 0; done < 2 * LIMITS.cassandraInFlightFirst; done++) {
      await expect(gate.run(TRY_MS, () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    }
    expect(await gate.run(TRY_MS, async () => "in")).toBe("in");
  });
});
