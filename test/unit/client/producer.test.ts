import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import type { Outcome } from "../../../src/client/outcome.ts";
import type { Submit } from "../../../src/gen/meridian/v1/client_pb.ts";
import { toErrorDetail } from "../../../src/kernel/error-wire.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type Peer, type ScriptedGateway, TestClient, World } from "./scripted-gateway.ts";

describe("sending", () => {
  let clock: VirtualClock;
  let world: World;
  let gateway: ScriptedGateway;
  let client: TestClient;

  beforeEach(() => {
    clock = new VirtualClock();
    world = new World(clock);
    gateway = world.gateway();
    client = world.client();
  });

  const send = (text: string, options?: Parameters<TestClient["send"]>[2]) => client.send("standup", text, options);
  const statuses = async (outcomes: Promise<Outcome>[]) => (await clock.until(Promise.all(outcomes))).map(({ status }) => status);
  const counters = (peer: Peer) =>
    peer.all("submit").flatMap((submit) => submit.items.map((_, i) => Number(submit.firstCounter) + i));

  /** Takes the next submits for itself; the answer gives up doing so. */
  function takeSubmits(take: (peer: Peer, submit: Submit) => boolean): void {
    gateway.script = (peer, frame) => frame.case === "submit" && take(peer, frame.value);
  }

  it("answers seq and id of a committed message, exactly, also above 2^53 (T2) [G6]", async () => {
    world.log().lastId = 2n ** 62n;
    expect(await clock.until(send("a"))).toEqual({ status: "committed", seq: 1, id: 2n ** 62n + 1n });
    expect(await clock.until(send("b"))).toEqual({ status: "committed", seq: 2, id: 2n ** 62n + 2n });
  });

  it("sends at once while nothing is under way, and gathers what one moment brings into one submit", async () => {
    await statuses([send("warm up")]);
    await statuses(["a", "b", "c"].map((text) => send(text)));
    expect(gateway.peer.all("submit").map(({ items }) => items.length)).toEqual([1, 3]);
  });

  it("gathers into full batches while submits are under way, at most 8 of them [G9]", async () => {
    await statuses([send("warm up")]);
    takeSubmits(() => true);
    for (let i = 0; i < 1_100; i += 1) void send(`${i}`);
    await clock.advance(100);
    expect(gateway.peer.all("submit").map(({ items }) => items.length)).toEqual([1, ...Array(8).fill(128)]);
  });

  it("cuts a submit at 256 KiB", async () => {
    await statuses(Array.from({ length: 10 }, () => send("x".repeat(60_000))));
    expect(gateway.peer.all("submit").map(({ items }) => items.length)).toEqual([4, 4, 2]);
  });

  it("leaves at most half of what a node takes without an answer, over all producers: it would stop reading, pings included [G9]", async () => {
    takeSubmits(() => true);
    const body = new Uint8Array(60_000);
    const producers = Array.from({ length: 10 }, (_, i) => client.producer({ sender: `p${i}` }));
    const sends = producers.flatMap((producer) => Array.from({ length: 30 }, () => producer.send("standup", body)));
    await clock.advance(1_000);
    const submits = gateway.peer.all("submit").flatMap(({ items }) => items);
    const bytes = submits.reduce((sum, { payload }) => sum + payload.length, 0);
    expect(bytes).toBeGreaterThan(LIMITS.sessionInFlightBytes / 2 - 1);
    expect(bytes).toBeLessThan(LIMITS.sessionInFlightBytes / 2 + LIMITS.batchBytes);
    gateway.script = () => false;
    gateway.peer.break();
    expect(new Set(await statuses(sends))).toEqual(new Set(["committed"]));
  });

  it("keeps sends made while no node was there, and sends them in the order of the calls [G7]", async () => {
    gateway.close();
    const sends = ["a", "b", "c"].map((text) => send(text));
    await clock.advance(3_000);
    gateway = world.gateway();
    expect(await statuses(sends)).toEqual(["committed", "committed", "committed"]);
    expect(world.log().texts).toEqual(["a", "b", "c"]);
  });

  it("submits what had no answer again in the next session, in numeric order (WuKongIMJSSDK: 1, 10, 11, 2; ably-java#474) [G7]", async () => {
    takeSubmits(() => true);
    const sends = Array.from({ length: 12 }, (_, i) => send(`m${i}`));
    await clock.advance(50);
    gateway.script = () => false;
    gateway.peer.break();
    expect(new Set(await statuses(sends))).toEqual(new Set(["committed"]));
    expect(counters(gateway.peer)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(world.log().texts).toEqual(Array.from({ length: 12 }, (_, i) => `m${i}`));
  });

  it("resumes its producer and sends the same bytes: a message whose answer was lost is not accepted twice (socket.io#5334) [G3]", async () => {
    takeSubmits((_peer, submit) => {
      for (let i = 0; i < submit.items.length; i += 1) world.log().submit(submit, i);
      return true;
    });
    const sends = [send("a"), send("b")];
    await clock.advance(50);
    const first = gateway.peer.all("submit")[0];
    gateway.script = () => false;
    gateway.peer.break();
    expect(await clock.until(Promise.all(sends))).toEqual([
      { status: "committed", seq: 1, id: 1_001n },
      { status: "committed", seq: 2, id: 1_002n },
    ]);
    expect(gateway.peer.all("openProducer")[0]?.resume).toBe(first?.producer);
    expect(gateway.peer.all("submit")[0]?.items).toEqual(first?.items);
    expect(world.log().texts).toEqual(["a", "b"]);
  });

  it("holds at most 1,024 sends without an outcome on the wire; the rest waits [G9]", async () => {
    takeSubmits(() => true);
    const sends = Array.from({ length: LIMITS.producerInFlight + 10 }, (_, i) => send(`${i}`));
    await clock.advance(100);
    expect(counters(gateway.peer).at(-1)).toBe(LIMITS.producerInFlight);
    gateway.script = () => false;
    gateway.peer.break();
    expect(new Set(await statuses(sends))).toEqual(new Set(["committed"]));
    expect(world.log().texts).toEqual(sends.map((_, i) => `${i}`));
  });

  it("rejects sends beyond the client's queue instead of growing for ever [G9]", async () => {
    gateway.close();
    const body = new Uint8Array(65_536);
    const sends = Array.from({ length: LIMITS.clientQueueBytes / body.length + 1 }, () => client.send("standup", body));
    const last = await clock.until(sends.at(-1) as Promise<Outcome>);
    expect(last).toMatchObject({ status: "rejected", error: { code: "OVERLOADED" } });
    await clock.advance(LIMITS.sendAgeMs);
    expect(await clock.until(send("room again after the others expired", { deadlineMs: 1 }))).toMatchObject({
      status: "expired",
    });
  });

  it("says rejected of a first and only try that was refused, and uses its counter for the next send [G6]", async () => {
    takeSubmits((peer, submit) => {
      peer.refuse(submit, "PERMISSION_DENIED");
      return true;
    });
    expect(await clock.until(send("no"))).toMatchObject({ status: "rejected", error: { code: "PERMISSION_DENIED" } });
    gateway.script = () => false;
    expect(await clock.until(send("yes"))).toMatchObject({ status: "committed", seq: 1 });
    expect(world.log().texts).toEqual(["yes"]);
  });

  it("fills the counter of a rejected send with a skip when later ones are under way [G6] [G7]", async () => {
    takeSubmits((peer, submit) => {
      peer.answer(submit, (i) => {
        const counter = Number(submit.firstCounter) + i;
        if (counter === 2 && submit.items[i]?.skip === false) {
          return { case: "error", value: toErrorDetail(new MeridianError("KEY_CONFLICT", "the key has other content")) };
        }
        return world.log().submit(submit, i);
      });
      return true;
    });
    expect(await statuses(["a", "b", "c"].map((text) => send(text)))).toEqual(["committed", "rejected", "committed"]);
    expect(world.log().texts).toEqual(["a", "-", "c"]);
    expect(await statuses([send("d")])).toEqual(["committed"]);
  });

  it("does not give a counter out again whose skip was lost on its way: it may come late [G3] [G6]", async () => {
    const late: Submit[] = [];
    takeSubmits((peer, submit) => {
      if (submit.items[0]?.skip) {
        late.push(submit);
        return true;
      }
      // Both are refused, the second one later: meanwhile a skip goes out for the first.
      const { producer, conversation, firstCounter } = submit;
      for (const i of [0n, 1n]) {
        const fate = { case: "error" as const, value: toErrorDetail(new MeridianError("PERMISSION_DENIED", "no")) };
        const runs = [{ counter: firstCounter + i, count: 1, fate }];
        clock.after(Number(i) * 50, () => peer.send({ case: "outcomes", value: { producer, conversation, runs } }));
      }
      return true;
    });
    expect(await statuses([send("a"), send("b")])).toEqual(["rejected", "rejected"]);
    expect(late.length).toBe(1);
    takeSubmits((peer, submit) => {
      peer.refuse(submit, "PERMISSION_DENIED");
      return true;
    });
    gateway.peer.break();
    await clock.advance(1_000);
    gateway.script = () => false;
    world.log().submit(late[0] as Submit, 0);
    expect(await statuses([send("c")])).toEqual(["committed"]);
    expect(world.log().texts).toEqual(["-", "c"]);
  });

  it("waits for the skip's answer although the message under way before it was refused [G6]", async () => {
    const abort = new AbortController();
    const submits: Submit[] = [];
    takeSubmits((_peer, submit) => submits.push(submit) > 0);
    const outcome = send("a", { signal: abort.signal });
    await clock.advance(50);
    abort.abort();
    await clock.advance(50);
    expect(submits.map(({ items }) => items[0]?.skip)).toEqual([false, true]);
    gateway.peer.refuse(submits[0] as Submit, "OVERLOADED");
    await clock.advance(1_000);
    expect(submits.length).toBe(2);
    gateway.peer.submit(submits[1] as Submit);
    expect(await clock.until(outcome)).toMatchObject({ status: "expired" });
  });

  it("tries a new session at once, whatever pause the last one had earned", async () => {
    let refusals = 0;
    takeSubmits((peer, submit) => {
      refusals += 1;
      peer.refuse(submit, "OVERLOADED");
      return true;
    });
    const outcome = send("a");
    for (let i = 0; i < 1_000 && refusals < 9; i += 1) await clock.advance(20);
    await clock.advance(20);
    gateway.script = () => false;
    gateway.peer.break();
    const brokenMs = clock.monotonicMs();
    expect(await clock.until(outcome)).toMatchObject({ status: "committed" });
    expect(clock.monotonicMs() - brokenMs).toBeLessThan(200);
  });

  it("does not count as under way what was forgotten with its producer [G9]", async () => {
    const body = new Uint8Array(60_000);
    let underWay = 0;
    takeSubmits((peer, submit) => {
      // Of the first five producers one submit is refused and of the others nothing is ever said; then all is held.
      if (submit.producer > 5n) for (const { payload } of submit.items) underWay += payload.length;
      else if (submit.firstCounter === 1n) clock.after(100, () => peer.refuse(submit, "PRODUCER_EXPIRED"));
      return true;
    });
    const producers = Array.from({ length: 5 }, (_, i) => client.producer({ sender: `p${i}` }));
    for (const producer of producers) for (let i = 0; i < 100; i += 1) void producer.send("standup", body);
    await clock.advance(1_000);
    expect(underWay).toBeGreaterThanOrEqual(LIMITS.sessionInFlightBytes / 2);
  });

  it("tries again from the counter that the node wants after COUNTER_GAP [G7]", async () => {
    let isFirst = true;
    takeSubmits((peer, submit) => {
      if (!isFirst) return false;
      isFirst = false;
      // The first message is lost on its way to the leader, the others come too early.
      peer.answer(submit, (i) =>
        i === 0
          ? { case: "error", value: toErrorDetail(new MeridianError("UNAVAILABLE", "lost")) }
          : { case: "error", value: toErrorDetail(new MeridianError("COUNTER_GAP", "too early", { details: { wanted: "1" } })) },
      );
      return true;
    });
    expect(await statuses(["a", "b", "c"].map((text) => send(text)))).toEqual(["committed", "committed", "committed"]);
    expect(world.log().texts).toEqual(["a", "b", "c"]);
  });

  it("waits for the answers under way before it begins again, so that the wire keeps the order [G7]", async () => {
    const held: (() => void)[] = [];
    await statuses([send("warm up")]);
    takeSubmits((peer, submit) => {
      if (submit.firstCounter === 2n && held.length === 0) {
        held.push(() => peer.refuse(submit, "UNAVAILABLE"));
      } else if (submit.firstCounter === 3n && held.length === 1) {
        held.push(() => peer.refuse(submit, "COUNTER_GAP", { wanted: "2" }));
      } else return false;
      return true;
    });
    const sends = [send("a")];
    await clock.advance(20);
    sends.push(send("b"));
    await clock.advance(20);
    held[0]?.();
    await clock.advance(1_000);
    expect(counters(gateway.peer)).toEqual([1, 2, 3]);
    held[1]?.();
    expect(await statuses(sends)).toEqual(["committed", "committed"]);
    expect(counters(gateway.peer)).toEqual([1, 2, 3, 2, 3]);
  });

  it("takes no gap for an amnesia that was filled before its answer came: the counter before took a longer way [G3] [G7]", async () => {
    const held: (() => void)[] = [];
    await statuses([send("warm up")]);
    takeSubmits((peer, submit) => {
      if (submit.firstCounter === 2n && held.length === 0) held.push(() => peer.submit(submit));
      else if (submit.firstCounter === 3n && held.length === 1)
        held.push(() => peer.refuse(submit, "COUNTER_GAP", { wanted: "2" }));
      else return false;
      return true;
    });
    const sends = [send("a")];
    await clock.advance(20);
    sends.push(send("b"));
    await clock.advance(20);
    for (const answer of held) answer();
    expect(await statuses(sends)).toEqual(["committed", "committed"]);
    expect(world.log().texts).toEqual(["warm up", "a", "b"]);
    expect(gateway.peer.all("openProducer")).toHaveLength(1);
  });

  it("expires a send that never was on the wire, without a skip [G6]", async () => {
    gateway.close();
    expect(await clock.until(send("a", { deadlineMs: 500 }))).toMatchObject({
      status: "expired",
      error: { code: "UNAVAILABLE" },
    });
    gateway = world.gateway();
    await clock.advance(10_000);
    expect(gateway.peer.all("submit")).toEqual([]);
  });

  it("expires an aborted send only after its skip was committed: the late message is never accepted [G6]", async () => {
    const lost: Submit[] = [];
    takeSubmits((_peer, submit) => lost.push(submit) === 1);
    const abort = new AbortController();
    const outcome = send("a", { signal: abort.signal });
    await clock.advance(50);
    abort.abort();
    expect(await clock.until(outcome)).toMatchObject({ status: "expired" });
    expect(world.log().texts).toEqual(["-"]);
    expect(world.log().submit(lost[0] as Submit, 0).case).toBe("skipped");
  });

  it("ends thousands of sends by one signal at once, with one listener [G9]", async () => {
    takeSubmits((_peer, submit) => submit.items[0]?.skip === false);
    const abort = new AbortController();
    let listeners = 0;
    const { addEventListener } = abort.signal;
    abort.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(abort.signal, args);
    };
    const sends = Array.from({ length: 20_000 }, () => send("x", { signal: abort.signal }));
    await clock.advance(100);
    const submits = gateway.peer.all("submit").length;
    abort.abort();
    expect(new Set(await statuses(sends))).toEqual(new Set(["expired"]));
    expect(listeners).toBe(1);
    expect(gateway.peer.all("submit").length - submits).toBeLessThanOrEqual(8);
    expect(world.log().texts).toEqual(Array(1_024).fill("-"));
  });

  it("says committed of an aborted send that was accepted before its skip [G6]", async () => {
    takeSubmits((_peer, submit) => {
      if (submit.items[0]?.skip) return false;
      world.log().submit(submit, 0);
      return true;
    });
    const abort = new AbortController();
    const outcome = send("a", { signal: abort.signal });
    await clock.advance(50);
    abort.abort();
    expect(await clock.until(outcome)).toMatchObject({ status: "committed", seq: 1 });
  });

  it("says unknown when not even the skip is answered, and resolves it later [G6]", async () => {
    takeSubmits(() => true);
    const outcome = await clock.until(send("a", { deadlineMs: 1_000 }));
    expect(clock.monotonicMs()).toBeLessThan(1_000 + LIMITS.giveUpMs + 100);
    if (outcome.status !== "unknown") throw new Error(outcome.status);
    gateway.script = () => false;
    gateway.peer.break();
    expect(await clock.until(client.resolve(outcome.retryKey))).toMatchObject({ status: "expired" });
    expect(await statuses([send("b")])).toEqual(["committed"]);
    expect(world.log().texts).toEqual(["-", "b"]);
  });

  it("begins no more while skips and sends together are more than may be under way [G9]", async () => {
    takeSubmits(() => true);
    const lost = await clock.until(Promise.all(Array.from({ length: 300 }, () => send("lost", { deadlineMs: 100 }))));
    gateway.script = () => false;
    gateway.peer.break();
    await clock.advance(1_000);
    const { peer } = gateway;
    takeSubmits(() => true);
    for (let i = 0; i < 2 * LIMITS.producerInFlight; i += 1) void send(`${i}`);
    await clock.advance(100);
    for (const outcome of lost) if (outcome.status === "unknown") void client.resolve(outcome.retryKey);
    await clock.advance(100);
    const sends = () => peer.all("submit").filter(({ items }) => items[0]?.skip === false);
    const [first] = sends() as [Submit];
    expect(sends()).toHaveLength(LIMITS.submitsInFlight);
    peer.answer(first, (index) => world.log().submit(first, index));
    await clock.advance(100);
    expect(sends()).toHaveLength(LIMITS.submitsInFlight);
  });

  it("resolves an unknown outcome after a restart: what stands in the log is committed [G6]", async () => {
    takeSubmits((_peer, submit) => {
      if (submit.items[0]?.skip === false) world.log().submit(submit, 0);
      return true;
    });
    const outcome = await clock.until(send("a", { deadlineMs: 100 }));
    if (outcome.status !== "unknown") throw new Error(outcome.status);
    await clock.until(client.close());
    gateway.script = () => false;
    const later = world.client();
    expect(await clock.until(later.resolve(outcome.retryKey))).toEqual({ status: "committed", seq: 1, id: 1_001n });
  });

  it("resolves after a restart also what a lost earlier counter holds up, by giving that one up too [G6]", async () => {
    takeSubmits(() => true);
    const outcomes = await clock.until(Promise.all(["a", "b", "c"].map((text) => send(text, { deadlineMs: 100 }))));
    const keys = outcomes.map((outcome) => (outcome.status === "unknown" ? outcome.retryKey : ""));
    await clock.until(client.close());
    gateway.script = () => false;
    const later = world.client();
    expect(await clock.until(later.resolve(keys[2] as string))).toMatchObject({ status: "expired" });
    expect(world.log().texts).toEqual(["-", "-", "-"]);
    expect(await clock.until(later.resolve(keys[0] as string))).toMatchObject({ status: "expired" });
    expect(await clock.until(Promise.all([later.resolve(keys[1] as string), later.resolve(keys[2] as string)]))).toMatchObject([
      { status: "expired" },
      { status: "expired" },
    ]);
  });

  it("says unknown, not rejected, of a send that was refused at a later try and cannot be skipped [G6]", async () => {
    let tries = 0;
    takeSubmits((peer, submit) => {
      tries += 1;
      peer.refuse(submit, tries === 1 ? "UNAVAILABLE" : "PERMISSION_DENIED");
      return true;
    });
    expect(await clock.until(send("a"))).toMatchObject({ status: "unknown" });
  });

  it("gives a send up after 20 tries and after 60 s, whichever comes first [G9]", async () => {
    let tries = 0;
    takeSubmits((peer, submit) => {
      if (submit.items[0]?.skip) return false;
      tries += 1;
      peer.refuse(submit, "OVERLOADED");
      return true;
    });
    const outcome = await clock.until(send("a"));
    expect(outcome).toMatchObject({
      status: "expired",
      error: { message: expect.stringMatching(/tries; the last one was told: /) },
    });
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThanOrEqual(LIMITS.sendTries);
    expect(clock.monotonicMs()).toBeLessThanOrEqual(LIMITS.sendAgeMs + LIMITS.giveUpMs);
  });

  it("goes elsewhere when a node leaves sends unanswered for 15 s but answers pings", async () => {
    const other = world.gateway("b:1");
    client = world.client({ endpoints: ["a:1", "b:1"] });
    takeSubmits(() => true);
    expect(await clock.until(send("a"))).toMatchObject({ status: "committed" });
    expect(other.peers.length).toBe(1);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(LIMITS.answerWaitMs);
  });

  it("takes a new producer after PRODUCER_EXPIRED: what was tried is unknown, what never was goes on in order [G3] [G6]", async () => {
    await statuses([send("first")]);
    takeSubmits((peer, submit) => {
      if (submit.producer !== 1n) return false;
      clock.after(50, () => peer.refuse(submit, "PRODUCER_EXPIRED"));
      return true;
    });
    const tried = Array.from({ length: LIMITS.producerInFlight }, (_, i) => send(`tried ${i}`));
    await clock.advance(20);
    const waiting = [send("x"), send("y")];
    expect(new Set(await statuses(tried))).toEqual(new Set(["unknown"]));
    expect(await statuses(waiting)).toEqual(["committed", "committed"]);
    expect(world.log().texts).toEqual(["first", "x", "y"]);
    expect(gateway.peer.all("submit").at(-1)).toMatchObject({ producer: 2n, firstCounter: 1n });
    expect(client.faults).toMatchObject([{ error: { code: "PRODUCER_EXPIRED" }, conversation: "standup" }]);
  });

  it("keeps the producer of other conversations when one of them has forgotten it [G7]", async () => {
    await statuses([client.send("other", "1"), send("1")]);
    takeSubmits((peer, submit) => {
      if (submit.conversation === "other" || submit.producer !== 1n) return false;
      peer.refuse(submit, "PRODUCER_EXPIRED");
      return true;
    });
    const held = client.send("other", "2");
    expect(await statuses([send("2"), held])).toEqual(["unknown", "committed"]);
    expect(await statuses([send("3"), client.send("other", "3")])).toEqual(["committed", "committed"]);
    expect(world.log("other").texts).toEqual(["1", "2", "3"]);
  });

  it("keeps a conversation with its old producer as long as something has no outcome there [G7]", async () => {
    await statuses([client.send("other", "1"), send("1")]);
    const held: Submit[] = [];
    takeSubmits((peer, submit) => {
      if (submit.conversation === "other") return held.push(submit) > 0;
      peer.refuse(submit, "PRODUCER_EXPIRED");
      return true;
    });
    const others = [client.send("other", "2")];
    expect(await statuses([send("2")])).toEqual(["unknown"]);
    others.push(client.send("other", "3"));
    await clock.advance(50);
    expect(held.map(({ producer, firstCounter }) => [producer, firstCounter])).toEqual([
      [1n, 2n],
      [1n, 3n],
    ]);
    gateway.script = () => false;
    for (const submit of held) gateway.peer.submit(submit);
    expect(await statuses(others)).toEqual(["committed", "committed"]);
    expect(await statuses([client.send("other", "4")])).toEqual(["committed"]);
    expect(gateway.peer.all("submit").at(-1)).toMatchObject({ producer: 2n, firstCounter: 1n });
    expect(world.log("other").texts).toEqual(["1", "2", "3", "4"]);
  });

  it("treats a log that wants counters which had their outcome as one that has forgotten the producer", async () => {
    await statuses([send("a")]);
    world.log().producers.clear();
    expect(await statuses([send("b")])).toEqual(["unknown"]);
    expect(await statuses([send("c")])).toEqual(["committed"]);
  });

  it("gives up a resumed producer that the node refuses: what was tried is unknown [G6]", async () => {
    takeSubmits(() => true);
    const tried = send("a");
    await clock.advance(50);
    gateway.script = (peer, frame) => {
      if (frame.case !== "openProducer" || frame.value.resume === 0n) return false;
      const error = toErrorDetail(new MeridianError("PRODUCER_EXPIRED", "forgotten"));
      peer.send({ case: "producerOpened", value: { request: frame.value.request, error } });
      return true;
    };
    gateway.peer.break();
    expect(await statuses([tried])).toEqual(["unknown"]);
    expect(await statuses([send("b")])).toEqual(["committed"]);
  });

  it("rejects sends when no producer is given to the sender", async () => {
    gateway.script = (peer, frame) => {
      if (frame.case !== "openProducer") return false;
      const error = toErrorDetail(new MeridianError("PERMISSION_DENIED", "not you"));
      peer.send({ case: "producerOpened", value: { request: frame.value.request, error } });
      return true;
    };
    expect(await clock.until(send("a"))).toMatchObject({ status: "rejected", error: { code: "PERMISSION_DENIED" } });
    gateway.script = () => false;
    expect(await statuses([send("b")])).toEqual(["committed"]);
  });

  it("sends with the largest id that it has seen, in deliveries and in its own outcomes [G8]", async () => {
    const other = world.log("other");
    other.lastId = 5_000n;
    other.say("far ahead");
    client.subscribe("other", { onMessage: () => {} });
    await clock.advance(100);
    const outcome = await clock.until(send("effect"));
    expect(outcome).toMatchObject({ status: "committed", id: 5_002n });
    await statuses([send("next")]);
    expect(gateway.peer.all("submit").map(({ aboveId }) => aboveId)).toEqual([5_001n, 5_002n]);
  });

  it("sends with a larger id than what it has read in a history [G8]", async () => {
    world.log().lastId = 9_000n;
    world.log().say("old");
    await clock.until(client.history("standup"));
    await statuses([send("new")]);
    expect(gateway.peer.all("submit")[0]?.aboveId).toBe(9_001n);
  });

  it("keeps the order of each of many producers on one client [G7]", async () => {
    const producers = ["ada", "bob", "eve"].map((sender) => client.producer({ sender }));
    const sends = Array.from({ length: 30 }, (_, i) =>
      (producers[i % 3] as (typeof producers)[0]).send("standup", `${i % 3}:${i}`),
    );
    expect(new Set(await statuses(sends))).toEqual(new Set(["committed"]));
    for (const prefix of ["0:", "1:", "2:"]) {
      const own = world.log().texts.filter((text) => text.startsWith(prefix));
      expect(own).toEqual([...own].sort((a, b) => Number(a.slice(2)) - Number(b.slice(2))));
      expect(own.length).toBe(10);
    }
    expect(
      gateway.peer
        .all("openProducer")
        .map(({ sender }) => sender)
        .sort(),
    ).toEqual(["ada", "bob", "eve"]);
  });

  it("carries key, type, time and trace context", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const got: unknown[] = [];
    client.subscribe("standup", { onMessage: (message) => void got.push(message) });
    await statuses([send("hé", { key: "k1", type: "text/plain", traceparent })]);
    await clock.advance(100);
    expect(got).toMatchObject([
      { key: new TextEncoder().encode("k1"), type: "text/plain", traceparent, body: new TextEncoder().encode("hé") },
    ]);
    expect((got[0] as { sentAtMs: number }).sentAtMs).toBe(Date.UTC(2026, 0, 1));
  });

  it.each([
    ["an empty conversation", () => client.send("", "x"), "INVALID_ARGUMENT"],
    ["control characters", () => client.send("a\nb", "x"), "INVALID_ARGUMENT"],
    ["an empty key", () => send("x", { key: "" }), "INVALID_ARGUMENT"],
    ["a key above 256 bytes", () => send("x", { key: "k".repeat(257) }), "INVALID_ARGUMENT"],
    ["a type above 128 bytes", () => send("x", { type: "t".repeat(129) }), "INVALID_ARGUMENT"],
    ["a traceparent that is none", () => send("x", { traceparent: "yes" }), "INVALID_ARGUMENT"],
    ["a deadline of nothing", () => send("x", { deadlineMs: 0 }), "INVALID_ARGUMENT"],
    ["a deadline above the longest age", () => send("x", { deadlineMs: LIMITS.sendAgeMs + 1 }), "INVALID_ARGUMENT"],
    ["a body above what the node takes", () => client.send("standup", new Uint8Array(65_537)), "TOO_LARGE"],
    ["a retry key that is none", () => client.resolve("nonsense"), "INVALID_ARGUMENT"],
    ["a sender that is none", async () => client.producer({ sender: "" }), "INVALID_ARGUMENT"],
  ])("throws for misuse: %s", async (_what, misuse, code) => {
    await clock.advance(100);
    await expect(misuse()).rejects.toMatchObject({ code });
  });

  it("throws for a send without a sender", async () => {
    const anonymous = new TestClient(world, { endpoints: ["a:1"] });
    await expect(anonymous.send("standup", "x")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("waits at close for the outcomes under way, and then says what is known: unknown or expired [G6]", async () => {
    takeSubmits(() => true);
    const tried = Array.from({ length: LIMITS.producerInFlight }, () => send("tried"));
    const waiting = send("waiting");
    await clock.advance(50);
    await clock.until(client.close());
    expect(new Set(await statuses(tried))).toEqual(new Set(["unknown"]));
    expect(await statuses([waiting])).toEqual(["expired"]);
    await expect(send("late")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("closes at once with every outcome told when the node answers", async () => {
    const outcome = send("a");
    await clock.advance(1);
    await clock.until(client.close());
    expect(await outcome).toMatchObject({ status: "committed" });
  });
});
