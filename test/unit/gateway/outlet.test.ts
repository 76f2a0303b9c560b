import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { Outlet, type SessionStream } from "../../../src/gateway/outlet.ts";
import { Producers } from "../../../src/gateway/producers.ts";
import { OpenProducerSchema } from "../../../src/gen/meridian/v1/client_pb.ts";
import { Background } from "../../../src/kernel/background.ts";
import { Deferred } from "../../../src/kernel/deferred.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await undefined;
}

/** An outlet over a stream that takes a few frames, and then more each time it is drained. */
function outletOf(window: number) {
  const written: string[] = [];
  let left = window;
  let drained = new Deferred<void>();
  const stream: Pick<SessionStream, "write" | "drained"> = {
    write: ({ frame }) => {
      left -= 1;
      if (frame?.case === "pong") written.push(`${frame.value.nonce}`);
      return left > 0;
    },
    drained: () => drained.promise,
  };
  const background = new Background((what, error) => {
    throw new Error(`${what}: ${error.message}`);
  });
  const outlet = new Outlet(stream as SessionStream, background);
  const write = (nonce: number) => () => outlet.write({ case: "pong", value: { nonce: BigInt(nonce) } });
  const drain = async () => {
    left = window;
    drained.resolve();
    drained = new Deferred();
    await settle();
  };
  return { outlet, written, write, drain };
}

describe("Outlet", () => {
  it("lets writers take turns while the stream is not full, outcomes before deliveries, each kind in order", async () => {
    const { outlet, written, write, drain } = outletOf(2);
    const turns = [1, 2, 3, 4, 5].map((nonce) => outlet.turn("deliveries", write(nonce)));
    turns.push(...[6, 7].map((nonce) => outlet.turn("outcomes", write(nonce))));
    expect(written).toEqual(["1", "2"]);
    await drain();
    expect(written.slice(2)).toEqual(["6", "7"]);
    await drain();
    await drain();
    await Promise.all(turns);
    expect(written.slice(4)).toEqual(["3", "4", "5"]);
  });

  it("gives a turn's error to whoever took it, and goes on with the next", async () => {
    const { outlet, written, write, drain } = outletOf(2);
    write(1)();
    write(2)();
    const failing = outlet.turn("deliveries", () => {
      throw new Error("the log has forked");
    });
    const next = outlet.turn("deliveries", write(3));
    const failed = expect(failing).rejects.toThrow("forked");
    await drain();
    await failed;
    await next;
    expect(written).toEqual(["1", "2", "3"]);
  });

  it("has a few places for reads of the log, and gives them out only while the stream is not full [G9]", async () => {
    const { outlet, write, drain } = outletOf(1);
    const entered: number[] = [];
    const enter = async (i: number) => {
      await outlet.enter();
      entered.push(i);
    };
    const entering = Array.from({ length: LIMITS.pagesPerSession - 1 }, (_, i) => enter(i));
    await Promise.all(entering);
    write(1)();
    const late = [enter(100), enter(101), enter(102)];
    await settle();
    expect(entered).toHaveLength(LIMITS.pagesPerSession - 1);
    await drain();
    expect(entered.slice(LIMITS.pagesPerSession - 1)).toEqual([100]);
    outlet.leave();
    outlet.leave();
    await Promise.all(late);
    expect(entered.slice(LIMITS.pagesPerSession - 1)).toEqual([100, 101, 102]);
  });

  it("writes answers into a full stream, but says when they are too many [G9]", async () => {
    const { outlet, written, drain } = outletOf(1);
    const answer = (nonce: number) => outlet.answer({ case: "pong", value: { nonce: BigInt(nonce) } });
    for (let i = 0; i < LIMITS.answersAhead; i += 1) answer(i);
    expect(outlet.keepsUp).toBe(true);
    answer(LIMITS.answersAhead);
    expect(outlet.keepsUp).toBe(false);
    expect(written).toHaveLength(LIMITS.answersAhead + 1);
    const drained = outlet.drained();
    await drain();
    await drained;
    expect(outlet.keepsUp).toBe(true);
  });
});

describe("Producers", () => {
  it("are at most 10,000 in a session, those on their way included [G9]", async () => {
    const clock = new VirtualClock();
    const answers: string[] = [];
    const stream: Pick<SessionStream, "write"> = {
      write: ({ frame }) => {
        if (frame?.case === "producerOpened") answers.push(`${frame.value.request} ${frame.value.error?.code}`);
        return true;
      },
    };
    const outlet = new Outlet(stream as SessionStream, new Background(() => {}));
    const issued = new Deferred<bigint>();
    const producers = new Producers({ gateway: { clock, newProducerId: () => issued.promise }, outlet });
    const open = (request: bigint, resume: bigint) =>
      producers.open(create(OpenProducerSchema, { request, sender: "ada", resume }));
    open(1n, 0n);
    for (let i = 2n; i <= LIMITS.producersPerSession; i += 1n) open(i, i);
    answers.length = 0;
    open(20_000n, 20_000n);
    open(20_001n, 0n);
    open(20_002n, 5n);
    expect(answers).toEqual(["20000 OVERLOADED", "20001 OVERLOADED", "20002 undefined"]);
    issued.resolve(50_000n);
    await clock.advance(0);
    expect(producers.sender(50_000n)).toBe("ada");
    expect(producers.sender(20_000n)).toBeUndefined();
  });
});
