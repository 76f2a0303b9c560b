import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import type { Message } from "../../../src/client/messages.ts";
import type { SubscribeOptions } from "../../../src/client/subscribe-options.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type ScriptedGateway, type ScriptedLog, type TestClient, World } from "./scripted-gateway.ts";

const text = (message: Message) => new TextDecoder().decode(message.body);

describe("a subscription", () => {
  let clock: VirtualClock;
  let world: World;
  let gateway: ScriptedGateway;
  let client: TestClient;
  let log: ScriptedLog;
  let got: string[];

  beforeEach(() => {
    clock = new VirtualClock();
    world = new World(clock);
    gateway = world.gateway();
    client = world.client();
    log = world.log();
    got = [];
  });

  const collect = (options: SubscribeOptions = {}) =>
    client.subscribe("standup", { onMessage: (message) => void got.push(`${message.seq}${text(message)}`), ...options });

  it("hands over the log from the beginning, then what comes [G1] [G4]", async () => {
    log.say("a", "b");
    const subscription = collect();
    await clock.advance(100);
    log.say("c");
    gateway.push();
    await clock.advance(100);
    expect(got).toEqual(["1a", "2b", "3c"]);
    expect(subscription.position).toBe(3);
    expect(subscription.head).toBe(3);
    expect(subscription.proof).toEqual(log.head);
  });

  it("starts after a seq, also in the middle of a batch", async () => {
    log.say("a", "b", "c");
    log.say("d");
    const subscription = collect({ after: 2 });
    expect(subscription.position).toBe(2);
    await clock.advance(100);
    expect(got).toEqual(["3c", "4d"]);
    expect(subscription.proof).toEqual(log.head);
  });

  it("starts at the head", async () => {
    log.say("old");
    const subscription = collect({ after: "head" });
    await clock.until(subscription.started);
    expect(subscription.position).toBe(1);
    log.say("new");
    gateway.push();
    await clock.advance(100);
    expect(got).toEqual(["2new"]);
  });

  it("shows no voids, and moves over them", async () => {
    log.say("a", "-", "b", "-");
    const subscription = collect();
    await clock.advance(100);
    expect(got).toEqual(["1a", "3b"]);
    expect(subscription.position).toBe(4);
  });

  it("hands over bytes that are no payload as they are, and goes on", async () => {
    log.say("a");
    const [entry] = log.batches[0]?.entries ?? [];
    if (entry === undefined) throw new Error("no entry");
    log.append([{ ...entry, payload: Uint8Array.of(0xff, 0xff) }]);
    log.say("c");
    const bodies: Uint8Array[] = [];
    client.subscribe("standup", { onMessage: ({ body }) => void bodies.push(body) });
    await clock.advance(100);
    expect(bodies.length).toBe(3);
    expect(bodies[1]).toEqual(Uint8Array.of(0xff, 0xff));
  });

  describe("with a handler", () => {
    it("calls it for one message at a time, the next after it has returned [G4]", async () => {
      log.say("a", "b");
      let running = 0;
      collect({
        onMessage: async (message) => {
          running += 1;
          expect(running).toBe(1);
          await new Promise<void>((resolve) => clock.after(1_000, resolve));
          got.push(text(message));
          running -= 1;
        },
      });
      await clock.advance(1_500);
      expect(got).toEqual(["a"]);
      await clock.advance(1_000);
      expect(got).toEqual(["a", "b"]);
    });

    it("calls it again after it has thrown, with growing pauses, and goes on when it returns [G4]", async () => {
      log.say("a", "b");
      const attempts: number[] = [];
      const subscription = collect({
        onMessage: (message, { attempt }) => {
          attempts.push(attempt);
          if (text(message) === "a" && attempt < 3) throw new Error("not yet");
          got.push(text(message));
        },
      });
      await clock.advance(10_000);
      expect(attempts).toEqual([1, 2, 3, 1]);
      expect(got).toEqual(["a", "b"]);
      expect(subscription.position).toBe(2);
    });

    it("sets a message aside after 5 tries, tells onDeadLetter, and goes on [G9]", async () => {
      log.say("poison", "b");
      const dead: unknown[] = [];
      let tries = 0;
      const subscription = collect({
        onMessage: (message) => {
          if (text(message) === "b") return void got.push("b");
          tries += 1;
          throw new Error("never");
        },
        onDeadLetter: async (message, error) => void dead.push([message.seq, error.code, error.message]),
      });
      await clock.advance(60_000);
      expect(tries).toBe(LIMITS.handlerTries);
      expect(dead).toEqual([[1, "INTERNAL", "the handler failed: never"]]);
      expect(got).toEqual(["b"]);
      expect(subscription.position).toBe(2);
    });

    it("tells a dead letter as an event when nobody else takes it, or when that fails too", async () => {
      log.say("poison");
      const fail = () => {
        throw new Error("no");
      };
      collect({ onMessage: fail });
      collect({ onMessage: fail, onDeadLetter: fail });
      await clock.advance(60_000);
      expect(client.deadLetters.map(({ message }) => message.seq)).toEqual([1, 1]);
      expect(client.faults.map(({ what }) => what)).toEqual(["message 1 was given up, and so was its dead letter"]);
    });

    it("does not hand a message over again because the session broke while its handler ran (centrifuge-js#425) [G4]", async () => {
      log.say("a");
      log.say("b");
      collect({
        onMessage: async (message) => {
          got.push(text(message));
          await new Promise<void>((resolve) => clock.after(1_000, resolve));
        },
      });
      await clock.advance(200);
      gateway.peer.break();
      await clock.advance(5_000);
      expect(gateway.peers.length).toBe(2);
      expect(gateway.peer.all("subscribe")[0]?.start).toEqual({ case: "after", value: 2n });
      expect(got).toEqual(["a", "b"]);
    });

    it("counts a handler that returns while the subscription is closed as done, one that throws as not [G4]", async () => {
      log.say("a", "b");
      const saved: number[] = [];
      const cursors = { load: () => undefined, save: (_: string, seq: number) => void saved.push(seq) };
      const subscription = collect({
        cursors,
        onMessage: async (message, { signal }) => {
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          got.push(text(message));
        },
      });
      await clock.advance(100);
      await clock.until(subscription.close());
      expect(got).toEqual(["a"]);
      expect(saved).toEqual([1]);
      expect(await subscription.ended).toBeUndefined();
    });

    it("sets nothing aside because of a close: a message that failed then comes again later [G4]", async () => {
      log.say("a");
      const dead: number[] = [];
      const saved: number[] = [];
      const subscription = collect({
        cursors: { load: () => undefined, save: (_, seq) => void saved.push(seq) },
        onMessage: async (_message, { attempt, signal }) => {
          if (attempt === LIMITS.handlerTries) await new Promise((resolve) => signal.addEventListener("abort", resolve));
          throw new Error("not now");
        },
        onDeadLetter: ({ seq }) => void dead.push(seq),
      });
      await clock.advance(30_000);
      await clock.until(subscription.close());
      expect(dead).toEqual([]);
      expect(saved).toEqual([]);
      expect(subscription.position).toBe(0);
    });

    it("closes within 10 s although a handler never returns [G9]", async () => {
      log.say("a");
      const subscription = collect({ onMessage: () => new Promise(() => {}) });
      await clock.advance(100);
      const closed = subscription.close().then(
        () => "well",
        (error) => error.code,
      );
      expect(await clock.until(closed)).toBe("UNAVAILABLE");
      expect(subscription.position).toBe(0);
    });

    it("closes by its signal", async () => {
      const abort = new AbortController();
      const subscription = collect({ signal: abort.signal });
      await clock.advance(100);
      abort.abort();
      expect(await clock.until(subscription.ended)).toBeUndefined();
      await clock.advance(10);
      expect(gateway.peer.all("unsubscribe").length).toBe(1);
    });
  });

  describe("as an iterator", () => {
    it("counts a message as handled when the next one is asked for [G4]", async () => {
      log.say("a", "b");
      const subscription = client.subscribe("standup");
      const messages = subscription[Symbol.asyncIterator]();
      const first = await clock.until(messages.next());
      expect(first.value && text(first.value)).toBe("a");
      expect(subscription.position).toBe(0);
      await clock.until(messages.next());
      expect(subscription.position).toBe(1);
    });

    it("closes when the loop is left, and leaves the last message unhandled", async () => {
      log.say("a", "b");
      const subscription = client.subscribe("standup", { consumer: "web" });
      const read = async () => {
        for await (const message of subscription) if (text(message) === "b") break;
      };
      await clock.until(read());
      expect(await subscription.ended).toBeUndefined();
      expect(log.cursors.get("web")).toBe(1);
    });

    it("ends the loop when the client closes", async () => {
      const read = async () => {
        for await (const message of client.subscribe("standup")) got.push(text(message));
        return "done";
      };
      const reading = read();
      await clock.advance(100);
      await clock.until(client.close());
      expect(await reading).toBe("done");
    });

    it("is refused together with onMessage, and twice", () => {
      expect(() => collect()[Symbol.asyncIterator]()).toThrow(/one reader/);
      const subscription = client.subscribe("standup");
      subscription[Symbol.asyncIterator]();
      expect(() => subscription[Symbol.asyncIterator]()).toThrow(/one reader/);
    });
  });

  describe("with a consumer's cursor", () => {
    it("goes on after the cursor that the server keeps, and acknowledges only what was handled [G4]", async () => {
      log.say("a", "b", "c");
      log.cursors.set("web", 1);
      let release = () => {};
      const subscription = collect({
        consumer: "web",
        onMessage: async (message) => {
          got.push(text(message));
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        },
      });
      await clock.advance(100);
      expect(got).toEqual(["b"]);
      expect(subscription.position).toBe(1);
      expect(gateway.peer.all("acknowledge")).toEqual([]);
      release();
      await clock.advance(100);
      expect(got).toEqual(["b", "c"]);
      expect(log.cursors.get("web")).toBe(2);
    });

    it("acknowledges cumulatively: one save at a time, the newest position next", async () => {
      for (let i = 0; i < 50; i += 1) log.say(`${i}`);
      collect({ consumer: "web" });
      await clock.advance(1_000);
      expect(log.cursors.get("web")).toBe(50);
      expect(gateway.peer.all("acknowledge").length).toBeLessThan(5);
    });

    it("waits at close until the cursor is saved [G4]", async () => {
      log.say("a");
      const acknowledged: bigint[] = [];
      gateway.script = (peer, frame) => {
        if (frame.case !== "acknowledge") return false;
        acknowledged.push(frame.value.seq);
        clock.after(3_000, () => peer.acknowledge(frame.value));
        return true;
      };
      const subscription = collect({ consumer: "web" });
      await clock.advance(100);
      await clock.until(subscription.close());
      expect(clock.monotonicMs()).toBeGreaterThan(3_000);
      expect(acknowledged).toEqual([1n]);
      expect(log.cursors.get("web")).toBe(1);
    });

    it("throws at close when the cursor could not be saved: its messages may come again", async () => {
      log.say("a");
      gateway.script = (_peer, frame) => frame.case === "acknowledge";
      const subscription = collect({ consumer: "web" });
      await clock.advance(100);
      const closed = subscription.close().then(
        () => "well",
        (error) => error.message,
      );
      expect(await clock.until(closed)).toBe("the cursor may stand at 0 instead of 1");
    });

    it("acknowledges again in the next session what was not saved", async () => {
      log.say("a");
      gateway.script = (_peer, frame) => frame.case === "acknowledge";
      collect({ consumer: "web" });
      await clock.advance(100);
      gateway.script = () => false;
      gateway.peer.break();
      await clock.advance(1_000);
      expect(log.cursors.get("web")).toBe(1);
      expect(got).toEqual(["1a"]);
    });

    it("goes on where another reader of the cursor has come to in the meantime", async () => {
      log.say("a");
      const subscription = collect({ consumer: "web" });
      await clock.advance(100);
      gateway.close();
      log.say("b", "c");
      log.cursors.set("web", 2);
      gateway = world.gateway();
      await clock.advance(10_000);
      expect(got).toEqual(["1a", "3c"]);
      expect(subscription.position).toBe(3);
    });
  });

  describe("with a cursor store of the application", () => {
    it("goes on after what the store says, whatever `after` says, and saves after the handler [G4]", async () => {
      log.say("a", "b", "c");
      const saved: number[] = [];
      const cursors = { load: async () => 1, save: async (_: string, seq: number) => void saved.push(seq) };
      const subscription = collect({ cursors, after: 0 });
      await clock.advance(100);
      expect(got).toEqual(["2b", "3c"]);
      expect(saved.at(-1)).toBe(3);
      expect(saved).toEqual([...saved].sort((a, b) => a - b));
      await clock.until(subscription.close());
    });

    it("saves again after a failure, and says so", async () => {
      log.say("a");
      let fails = 2;
      const saved: number[] = [];
      const save = (_: string, seq: number) => {
        fails -= 1;
        if (fails >= 0) throw new Error("disk full");
        saved.push(seq);
      };
      collect({ cursors: { load: () => undefined, save } });
      await clock.advance(10_000);
      expect(saved).toEqual([1]);
      expect(client.faults.map(({ what }) => what)).toEqual(Array(2).fill("the cursor at 1 could not be saved"));
    });

    it("ends when the store cannot be read, instead of guessing a start", async () => {
      log.say("a");
      const load = () => {
        throw new Error("no disk");
      };
      const subscription = collect({ cursors: { load, save: () => {} } });
      expect(await clock.until(subscription.ended)).toMatchObject({ code: "UNAVAILABLE" });
      await expect(subscription.started).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(got).toEqual([]);
      expect(gateway.peer.all("subscribe")).toEqual([]);
    });

    it("throws that error into a loop", async () => {
      const load = () => {
        throw new Error("no disk");
      };
      const messages = client.subscribe("standup", { cursors: { load, save: () => {} } })[Symbol.asyncIterator]();
      const next = messages.next().then(
        () => "a message",
        (error) => error.code,
      );
      expect(await clock.until(next)).toBe("UNAVAILABLE");
      expect(await clock.until(messages.next())).toEqual({ done: true, value: undefined });
    });
  });

  it.each([
    ["a negative start", { after: -1 }],
    ["a start between two messages", { after: 1.5 }],
    ["an empty consumer", { consumer: "" }],
    ["two authorities over the cursor", { consumer: "web", cursors: { load: () => 0, save: () => {} } }],
  ])("throws for misuse: %s", (_what, options) => {
    expect(() => client.subscribe("standup", options)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it("grants as many bytes again as were handled, when half of them were, and never more [G9]", async () => {
    const body = "x".repeat(60_000);
    for (let i = 0; i < 200; i += 1) log.say(body);
    const { subscriptionCreditBytes } = LIMITS;
    const releases: (() => void)[] = [];
    collect({ onMessage: () => new Promise<void>((resolve) => releases.push(resolve)) });
    await clock.advance(200);
    const line = [...gateway.peer.subscriptions.values()][0];
    expect(line).toMatchObject({ granted: subscriptionCreditBytes });
    const pushed = () => log.batches.slice(0, (line?.nextSeq ?? 1) - 1).reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (let handled = 0; handled < 200; handled += 1) {
      expect(pushed() - handled * (log.batches[0]?.bytes.length ?? 0)).toBeLessThan(subscriptionCreditBytes + 61_000);
      releases.shift()?.();
      await clock.advance(20);
    }
    expect(gateway.peer.all("credit").length).toBeGreaterThan(3);
    expect(line?.nextSeq).toBe(201);
  });
});
