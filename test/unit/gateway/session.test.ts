import { describe, expect, it } from "vitest";
import { MeridianService, type OutcomeRun } from "../../../src/gen/meridian/v1/client_pb.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import type { Fate } from "../../../src/routing/leaders.ts";
import { CONVERSATION } from "../../support/chains.ts";
import { gatewayOf, TestSession } from "../../support/gateway.ts";
import { item } from "../../support/sends.ts";

const PRODUCER = 77n;

/** A session with a producer. */
async function openSession(options: Parameters<typeof gatewayOf>[0] = {}) {
  const gateway = gatewayOf(options);
  const session = new TestSession(gateway.channel);
  session.write({ case: "openProducer", value: { request: 1n, sender: "ada", resume: PRODUCER } });
  await gateway.clock.advance(0);
  const submit = (firstCounter: number, items = [item(`text ${firstCounter}`)], conversation = CONVERSATION) => {
    const value = { producer: PRODUCER, conversation, firstCounter: BigInt(firstCounter), items, aboveId: 9n };
    session.write({ case: "submit", value });
  };
  const runs = (conversation = CONVERSATION) =>
    session
      .all("outcomes")
      .filter((outcomes) => outcomes.conversation === conversation)
      .flatMap((outcomes) => outcomes.runs);
  return { ...gateway, session, submit, runs };
}

/** `first+count kind seq` or `first+count CODE`. */
function show(run: OutcomeRun): string {
  const { fate } = run;
  const said = fate.case === "error" ? fate.value.code : `${fate.case} ${fate.value?.seq}`;
  return `${run.counter}+${run.count} ${said}`;
}

function placed(seq: number): Fate {
  return { kind: "placed", seq, id: BigInt(1_000 + seq) };
}

describe("Session", () => {
  it("answers a hello with a welcome, and a ping with a pong", async () => {
    const { clock, channel, service } = gatewayOf();
    const session = new TestSession(channel);
    session.write({ case: "ping", value: { nonce: 5n } });
    await clock.advance(0);
    expect(session.frames).toMatchObject([
      { case: "welcome", value: { node: "eu-1", region: "eu", bodyBytesMax: 65_536n } },
      { case: "pong", value: { nonce: 5n } },
    ]);
    expect(service.sessions()).toBe(1);
    session.close();
    await clock.advance(0);
    expect(session.end).toBe("ended");
    expect(service.sessions()).toBe(0);
  });

  it("is broken by a frame that no client may send", async () => {
    const { clock, channel } = gatewayOf();
    const ways: Record<string, (session: TestSession) => void> = {
      "no hello first": (session) => session.write({ case: "ping", value: { nonce: 1n } }),
      "two hellos": (session) => {
        session.write({ case: "hello", value: {} });
        session.write({ case: "hello", value: {} });
      },
      "an unknown frame": (session) => {
        session.write({ case: "hello", value: {} });
        session.write({ case: undefined });
      },
      "a submit without items": (session) => {
        session.write({ case: "hello", value: {} });
        session.write({ case: "submit", value: { producer: 1n, conversation: CONVERSATION, firstCounter: 1n } });
      },
      "a subscription's number twice": (session) => {
        session.write({ case: "hello", value: {} });
        session.subscribe(1n);
        session.subscribe(1n);
      },
    };
    for (const [way, act] of Object.entries(ways)) {
      const session = new TestSession(channel, { hello: false });
      act(session);
      await clock.advance(0);
      expect(session.end, way).toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });

  it("does not wait for a hello for ever [G9]", async () => {
    const { clock, channel, service } = gatewayOf();
    const session = new TestSession(channel, { hello: false });
    await clock.advance(LIMITS.callDeadlineMs - 1);
    expect(session.end).toBe("open");
    await clock.advance(1);
    expect(session.end).toMatchObject({ code: "UNAVAILABLE" });
    expect(service.sessions()).toBe(0);
  });

  it("says goodbye when the node drains, and takes no new sessions", async () => {
    const { clock, channel, service } = gatewayOf();
    const session = new TestSession(channel);
    await clock.advance(0);
    service.drain();
    service.drain();
    const late = new TestSession(channel);
    await clock.advance(0);
    expect(session.all("goodbye")).toMatchObject([{ reason: { code: "UNAVAILABLE" } }]);
    expect(session.end).toBe("open");
    expect(late.end).toMatchObject({ code: "UNAVAILABLE", retry: "elsewhere" });
  });

  it("releases everything when its stream breaks [G9]", async () => {
    const { clock, leaders, followers, service, session, network, submit } = await openSession();
    leaders.hold = true;
    for (let i = 1; i <= 20; i += 1) session.subscribe(BigInt(i), { conversation: `conversation ${i}` });
    submit(1);
    await clock.advance(0);
    expect(leaders.listeners("conversation 20")).toBe(1);
    network.breakStreams("client");
    await clock.advance(0);
    expect(service.sessions()).toBe(0);
    await clock.advance(LIMITS.followerLingerMs);
    expect(followers.size).toBe(0);
    expect(leaders.listeners("conversation 20")).toBe(0);
    leaders.held[0]?.answer.resolve([placed(1)]);
    await clock.advance(0);
  });
});

describe("open_producer", () => {
  it("gives a new producer a new id, and takes a former one back", async () => {
    const { clock, session, leaders } = await openSession();
    session.write({ case: "openProducer", value: { request: 2n, sender: "bob" } });
    session.write({ case: "openProducer", value: { request: 3n, sender: "ada", resume: PRODUCER } });
    await clock.advance(0);
    const [, second, third] = session.all("producerOpened");
    expect([second, third].map((opened) => opened?.producer).sort()).toEqual([PRODUCER, 5_001n].sort());
    const items = [item("hi")];
    session.write({ case: "submit", value: { producer: 5_001n, conversation: CONVERSATION, firstCounter: 1n, items } });
    await clock.advance(0);
    expect(leaders.runs).toMatchObject([{ producer: 5_001n, sender: "bob", firstCounter: 1 }]);
  });

  it("answers with an error for a bad sender, another's producer, or a node without ids", async () => {
    const { clock, session } = await openSession({
      newProducerId: async () => {
        throw new MeridianError("CLOCK_UNSYNCED", "no clock");
      },
    });
    session.write({ case: "openProducer", value: { request: 2n, sender: "" } });
    session.write({ case: "openProducer", value: { request: 3n, sender: "bob", resume: PRODUCER } });
    session.write({ case: "openProducer", value: { request: 4n, sender: "bob" } });
    await clock.advance(0);
    const codes = () => session.all("producerOpened").map(({ request, error }) => `${request} ${error?.code}`);
    expect(codes().slice(1).sort()).toEqual(["2 INVALID_ARGUMENT", "3 INVALID_ARGUMENT", "4 CLOCK_UNSYNCED"]);
  });
});

describe("submit", () => {
  it("passes a run to the leaders and its outcomes back", async () => {
    const { clock, leaders, submit, runs } = await openSession();
    submit(1, [item("a"), item("b", { key: "k" }), item("", { skip: true })]);
    await clock.advance(0);
    expect(runs().map(show)).toEqual(["1+2 placed 1", "3+1 skipped 3"]);
    expect(leaders.runs).toMatchObject([{ conversation: CONVERSATION, producer: PRODUCER, sender: "ada", aboveId: 9n }]);
  });

  it("answers in the order of the submits, whatever the order of the fates, with neighbours joined [G7]", async () => {
    const { clock, leaders, submit, runs, session } = await openSession();
    leaders.hold = true;
    for (let counter = 1; counter <= 6; counter += 1) submit(counter);
    submit(1, [item("elsewhere")], "other");
    await clock.advance(0);
    expect(leaders.runs.map(({ firstCounter }) => firstCounter)).toEqual([1, 2, 3, 4, 5, 6, 1]);
    const settle = async (at: number, seq: number) => {
      leaders.held[at]?.answer.resolve([placed(seq)]);
      await clock.advance(0);
    };
    await settle(2, 12);
    await settle(1, 11);
    expect(session.all("outcomes")).toEqual([]);
    await settle(6, 1);
    expect(runs("other").map(show)).toEqual(["1+1 placed 1"]);
    await settle(0, 10);
    expect(runs().map(show)).toEqual(["1+3 placed 10"]);
    await settle(4, 20);
    await settle(5, 21);
    leaders.held[3]?.answer.reject(new MeridianError("UNAVAILABLE", "the leader has gone"));
    await clock.advance(0);
    expect(runs().map(show)).toEqual(["1+3 placed 10", "4+1 UNAVAILABLE", "5+2 placed 20"]);
  });

  it("sends at once, and gathers what becomes ready while that is on its way", async () => {
    const { clock, leaders, submit, session } = await openSession();
    leaders.hold = true;
    for (let counter = 1; counter <= 50; counter += 1) submit(counter);
    await clock.advance(0);
    for (const [i, { answer }] of leaders.held.entries()) answer.resolve([placed(i + 1)]);
    await clock.advance(0);
    const frames = session.all("outcomes");
    expect(frames.length).toBeLessThanOrEqual(2);
    expect(frames.flatMap(({ runs }) => runs.map(({ count }) => count)).reduce((a, b) => a + b)).toBe(50);
  });

  it("says one error over the whole of a run that is refused as such", async () => {
    const { clock, leaders, submit, runs, session } = await openSession();
    const three = [item("a"), item("b"), item("c")];
    submit(1, three, "bad\nname");
    submit(0, three);
    submit(
      1,
      Array.from({ length: LIMITS.batchMessages + 1 }, () => item("a")),
    );
    const stranger = { producer: 5n, conversation: CONVERSATION, firstCounter: 4n, items: three };
    session.write({ case: "submit", value: stranger });
    await clock.advance(0);
    expect(runs("bad\nname").map(show)).toEqual(["1+3 INVALID_ARGUMENT"]);
    expect(runs().map(show).sort()).toEqual(["0+3 INVALID_ARGUMENT", "1+129 INVALID_ARGUMENT", "4+3 INVALID_ARGUMENT"]);
    expect(leaders.runs).toEqual([]);
    leaders.submit = async () => {
      throw new MeridianError("NOT_LEADER", "nobody leads it", { details: { leader: "us-1" } });
    };
    submit(7, three);
    await clock.advance(0);
    expect(runs().at(-1)).toMatchObject({ counter: 7n, count: 3, fate: { value: { details: { leader: "us-1" } } } });
  });

  it("refuses a message that breaks a limit alone, in its place", async () => {
    const { clock, leaders, submit, runs } = await openSession();
    submit(1, [item("a"), item("b".repeat(LIMITS.bodyBytes + 1)), item("c"), { ...item("d"), payload: Uint8Array.of(9) }]);
    await clock.advance(0);
    expect(runs().map(show)).toEqual(["1+1 placed 1", "2+1 TOO_LARGE", "3+1 placed 2", "4+1 INVALID_ARGUMENT"]);
    expect(leaders.runs.map(({ firstCounter, items }) => [firstCounter, items.length])).toEqual([
      [1, 1],
      [3, 1],
    ]);
  });

  it("does not wait for a leader that never answers, nor trusts one that answers for too few [G6, G9]", async () => {
    const { clock, leaders, submit, runs } = await openSession();
    leaders.hold = true;
    submit(1, [item("a"), item("b")]);
    await clock.advance(LIMITS.callDeadlineMs - 1);
    expect(runs()).toEqual([]);
    await clock.advance(1);
    expect(runs().map(show)).toEqual(["1+2 UNAVAILABLE"]);
    submit(3, [item("a"), item("b")]);
    await clock.advance(0);
    leaders.held[1]?.answer.resolve([placed(1)]);
    await clock.advance(0);
    expect(runs().map(show).at(-1)).toBe("3+2 INTERNAL");
  });

  it("stops reading a session whose leader stalls, and goes on when outcomes come [G9]", async () => {
    const { clock, leaders, submit, runs } = await openSession();
    leaders.hold = true;
    const body = "x".repeat(60_000);
    const frame = Array.from({ length: 60 }, () => item(body));
    const frames = 8;
    for (let i = 0; i < frames; i += 1) submit(1 + i * 60, frame);
    await clock.advance(0);
    const taken = leaders.runs.length;
    expect(taken).toBe(Math.ceil(LIMITS.sessionInFlightBytes / (60 * 60_000)));
    const settle = async (at: number) => {
      leaders.held[at]?.answer.resolve(frame.map((_, i) => placed(1 + at * 60 + i)));
      await clock.advance(0);
    };
    await settle(0);
    expect(leaders.runs.length).toBe(taken + 1);
    for (let at = 1; at < frames; at += 1) await settle(at);
    expect(leaders.runs.length).toBe(frames);
    expect(runs().reduce((sum, { count }) => sum + count, 0)).toBe(frames * 60);
  });

  it("gives outcomes for what was sent before the client ended its side", async () => {
    const { clock, leaders, session, submit, runs } = await openSession();
    leaders.hold = true;
    submit(1);
    session.close();
    await clock.advance(1_000);
    expect(session.end).toBe("open");
    leaders.held[0]?.answer.resolve([placed(1)]);
    await clock.advance(0);
    expect(runs().map(show)).toEqual(["1+1 placed 1"]);
    expect(session.end).toBe("ended");
  });

  it("keeps the outcomes of a client that does not read them out of an overfull stream [G9]", async () => {
    const gateway = gatewayOf();
    const { clock, leaders, channel } = gateway;
    const session = new TestSession(channel, { reads: false });
    session.write({ case: "openProducer", value: { request: 1n, sender: "ada", resume: PRODUCER } });
    const total = 2_500;
    const items = [item("x".repeat(10_000))];
    let submitted = 0;
    leaders.submit = async ({ firstCounter }) => {
      submitted += 1;
      return [{ kind: "placed", seq: firstCounter * 2, id: BigInt(firstCounter) }];
    };
    for (let nonce = 0n; nonce < LIMITS.streamWindowFrames; nonce += 1n) session.write({ case: "ping", value: { nonce } });
    await clock.advance(0);
    for (let counter = 1; counter <= total; counter += 1) {
      const value = { producer: PRODUCER, conversation: CONVERSATION, firstCounter: BigInt(counter), items };
      session.write({ case: "submit", value });
    }
    await clock.advance(0);
    expect(submitted).toBeLessThan(LIMITS.sessionInFlightBytes / 10_000);
    session.read();
    await clock.advance(1_000);
    const answered = session.all("outcomes").flatMap(({ runs }) => runs);
    expect(session.end).toBe("open");
    expect(answered.map(({ counter }) => Number(counter))).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  });
});

describe("the other calls", () => {
  it("hand out ids and say who leads", async () => {
    const { clock, channel } = gatewayOf();
    const { generateIds, locate } = MeridianService.method;
    const options = { deadlineMs: 1_000 };
    expect((await clock.until(channel.unary(generateIds, { count: 3 }, options))).ids).toEqual([5_001n, 5_002n, 5_003n]);
    expect((await clock.until(channel.unary(generateIds, {}, options))).ids).toHaveLength(1);
    const tooMany = clock.until(channel.unary(generateIds, { count: 5_000 }, options));
    await expect(tooMany).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await clock.until(channel.unary(locate, { conversation: CONVERSATION }, options))).toMatchObject({
      home: "eu",
      shard: 3,
      leader: "eu-1",
      epoch: 7n,
      head: { seq: 0n, hash: new Uint8Array(16) },
    });
    const nameless = clock.until(channel.unary(locate, {}, options));
    await expect(nameless).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("say whether the node serves: with a lease and a worker number, until it drains", async () => {
    let isServing = false;
    const { clock, channel, service } = gatewayOf({ isServing: () => isServing });
    const probe = () => clock.until(channel.unary(MeridianService.method.probe, {}, { deadlineMs: 1_000 }));
    expect(await probe()).toMatchObject({ node: "eu-1", region: "eu", serving: false });
    isServing = true;
    expect(await probe()).toMatchObject({ serving: true });
    service.drain();
    expect(await probe()).toMatchObject({ serving: false });
  });
});
