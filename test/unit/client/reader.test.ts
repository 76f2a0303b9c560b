import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import type { SubscribeOptions } from "../../../src/client/subscribe-options.ts";
import { toErrorDetail } from "../../../src/kernel/error-wire.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type Batch, encodeBatch } from "../../../src/log/batch.ts";
import { entryOf, type Peer, type ScriptedGateway, type ScriptedLog, type TestClient, World, wire } from "./scripted-gateway.ts";

describe("receiving", () => {
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
    client.subscribe("standup", {
      onMessage: (message) => void got.push(new TextDecoder().decode(message.body)),
      ...options,
    });
  const fetches = (peer: Peer = gateway.peer) => peer.all("fetch").map(({ fromSeq, toSeq }) => [Number(fromSeq), Number(toSeq)]);

  /** A subscription whose deliveries are the test's own: the node answers, but pushes nothing by itself. */
  async function silent(options: SubscribeOptions = {}) {
    const subscription = collect({ after: 0, ...options });
    gateway.script = (peer, frame) => {
      if (frame.case !== "subscribe") return false;
      const { subscription: id, start } = frame.value;
      const after = start.case === "after" ? start.value : 0n;
      peer.send({ case: "subscribed", value: { subscription: id, after, head: wire(log.head) } });
      return true;
    };
    await clock.advance(100);
    return subscription;
  }

  const deliver = (...batches: (Batch | undefined)[]) => {
    const { peer } = gateway;
    const id = peer.all("subscribe").at(-1)?.subscription ?? 0n;
    peer.deliver(id, ...batches.filter((batch) => batch !== undefined));
  };

  it("puts live messages that come before the catch-up behind it, once (Rocket.Chat.ReactNative#7547, gim#46) [G1] [G4]", async () => {
    const [a, b, c, d] = [log.say("a"), log.say("b"), log.say("c"), log.say("d")];
    await silent();
    deliver(c, d);
    await clock.advance(10);
    deliver(a, b, c);
    await clock.advance(10);
    expect(got).toEqual(["a", "b", "c", "d"]);
  });

  it("releases what is parked as soon as live traffic fills the hole, without a fetch (FluidFramework#4749)", async () => {
    const [a, b, c] = [log.say("a"), log.say("b"), log.say("c")];
    await silent();
    deliver(a, c);
    await clock.advance(LIMITS.holeWaitMs - 100);
    expect(got).toEqual(["a"]);
    deliver(b);
    await clock.advance(20);
    expect(got).toEqual(["a", "b", "c"]);
    await clock.advance(10_000);
    expect(fetches()).toEqual([]);
  });

  it("fetches a hole of exactly one message, exactly, after 500 ms (kuzzle#2763, Telethon#4428, gramjs#415)", async () => {
    const [a, , c] = [log.say("a"), log.say("b"), log.say("c")];
    await silent();
    deliver(a, c);
    await clock.advance(LIMITS.holeWaitMs - 20);
    expect(fetches()).toEqual([]);
    await clock.advance(100);
    expect(fetches()).toEqual([[2, 2]]);
    expect(got).toEqual(["a", "b", "c"]);
  });

  it("hands over the last message behind a hole although nothing follows (runtypelabs/persona#168)", async () => {
    log.say("a");
    log.say("b");
    const last = log.say("c");
    await silent();
    deliver(last);
    await clock.advance(5_000);
    expect(got).toEqual(["a", "b", "c"]);
    expect(fetches()).toEqual([[1, 2]]);
  });

  it("fetches on while an answer brings only a part of the hole", async () => {
    for (const text of "abcdef") log.say(text);
    gateway.script = (peer, frame) => {
      if (frame.case !== "fetch") return false;
      const { request, fromSeq } = frame.value;
      const batches = log.from(Number(fromSeq)).slice(0, 1);
      peer.send({
        case: "fetched",
        value: { request, answer: { case: "entries", value: { batches: batches.map((b) => b.bytes) } } },
      });
      return true;
    };
    const base = gateway.script;
    await silent();
    const subscribing = gateway.script;
    gateway.script = (peer, frame) => base(peer, frame) || subscribing(peer, frame);
    deliver(log.batches[5]);
    await clock.advance(5_000);
    expect(got).toEqual([..."abcdef"]);
    expect(fetches()).toEqual([
      [1, 5],
      [2, 5],
      [3, 5],
      [4, 5],
      [5, 5],
    ]);
  });

  describe("always ends its asking", () => {
    const answerFetches = (answer: (peer: Peer, request: bigint) => void) => {
      const subscribing = gateway.script;
      gateway.script = (peer, frame) => {
        if (frame.case !== "fetch") return subscribing(peer, frame);
        answer(peer, frame.value.request);
        return true;
      };
    };

    it("when a fetch brings nothing: asks again only after something new (FluidFramework#18430) [G9]", async () => {
      const [a, b, c, d] = [log.say("a"), log.say("b"), log.say("c"), log.say("d")];
      await silent();
      answerFetches((peer, request) =>
        peer.send({ case: "fetched", value: { request, answer: { case: "entries", value: { batches: [] } } } }),
      );
      deliver(a, c);
      await clock.advance(600_000);
      expect(fetches()).toEqual([[2, 2]]);
      answerFetches((peer, request) =>
        peer.send({ case: "fetched", value: { request, answer: { case: "entries", value: { batches: [(b as Batch).bytes] } } } }),
      );
      deliver(d);
      await clock.advance(5_000);
      expect(fetches()).toEqual([
        [2, 2],
        [2, 2],
      ]);
      expect(got).toEqual(["a", "b", "c", "d"]);
    });

    it("when the node says not yet: asks again only after something new [G9]", async () => {
      const [a, , c] = [log.say("a"), log.say("b"), log.say("c")];
      await silent();
      answerFetches((peer, request) =>
        peer.send({ case: "fetched", value: { request, answer: { case: "notYet", value: wire({ seq: 1, hash: a.hash }) } } }),
      );
      deliver(a, c);
      await clock.advance(600_000);
      expect(fetches().length).toBe(1);
      gateway.peer.break();
      await clock.advance(5_000);
      expect(gateway.peers.length).toBe(2);
      expect(fetches().length).toBe(1);
    });

    it("but not when something new has come while the answer was under way", async () => {
      const [a, b, c, d] = [log.say("a"), log.say("b"), log.say("c"), log.say("d")];
      await silent();
      const requests: bigint[] = [];
      answerFetches((_peer, request) => requests.push(request));
      deliver(a, c);
      await clock.advance(600);
      deliver(d);
      await clock.advance(10);
      const answer = (request: bigint | undefined, batches: Uint8Array[]) =>
        gateway.peer.send({
          case: "fetched",
          value: { request: request ?? 0n, answer: { case: "entries", value: { batches } } },
        });
      answer(requests[0], []);
      await clock.advance(20);
      answer(requests[1], [b.bytes]);
      await clock.advance(20);
      expect(got).toEqual(["a", "b", "c", "d"]);
    });

    it("when the node has an error: asks again after growing pauses, and ends with one that will not pass", async () => {
      const [a, , c] = [log.say("a"), log.say("b"), log.say("c")];
      const subscription = await silent();
      let code: "UNAVAILABLE" | "PERMISSION_DENIED" = "UNAVAILABLE";
      answerFetches((peer, request) => {
        const error = toErrorDetail(new MeridianError(code, "no"));
        peer.send({ case: "fetched", value: { request, answer: { case: "error", value: error } } });
      });
      deliver(a, c);
      await clock.advance(60_000);
      expect(fetches().length).toBeGreaterThan(5);
      expect(fetches().length).toBeLessThan(100);
      code = "PERMISSION_DENIED";
      expect(await clock.until(subscription.ended)).toMatchObject({ code: "PERMISSION_DENIED" });
      expect(got).toEqual(["a"]);
    });
  });

  describe("over reconnects", () => {
    it("goes on from its start although nothing ever came (socket.io#5538)", async () => {
      log.say("old");
      const subscription = collect({ after: "head" });
      await clock.until(subscription.started);
      gateway.close();
      log.say("missed");
      gateway = world.gateway();
      await clock.advance(10_000);
      expect(gateway.peer.all("subscribe")[0]?.start).toEqual({ case: "after", value: 1n });
      expect(got).toEqual(["missed"]);
    });

    it("loses nothing and repeats nothing, time after time (socket.io#4880, #4968) [G4]", async () => {
      collect();
      const all: string[] = [];
      for (let i = 0; i < 5; i += 1) {
        for (let j = 0; j < 3; j += 1) {
          all.push(`${i}.${j}`);
          log.say(`${i}.${j}`);
          if (j === 1) gateway.push();
        }
        await clock.advance(20);
        gateway.peer.break();
        await clock.advance(5_000);
      }
      expect(got).toEqual(all);
      expect(gateway.peers.length).toBe(6);
    });

    it("keeps what waits for its turn (LibreChat#11842)", async () => {
      const [a, b, c] = [log.say("a"), log.say("b"), log.say("c")];
      await silent();
      deliver(a, c);
      await clock.advance(10);
      gateway.peer.break();
      await clock.advance(300);
      expect(gateway.peer.all("subscribe").at(-1)?.start).toEqual({ case: "after", value: 1n });
      const held = BigInt(c.bytes.length);
      expect(gateway.peer.all("subscribe").at(-1)?.creditBytes).toBe(BigInt(LIMITS.subscriptionCreditBytes) - held);
      deliver(b);
      await clock.advance(20);
      expect(got).toEqual(["a", "b", "c"]);
    });

    it("asks for what was received and not for what was handled: nothing comes twice [G4]", async () => {
      for (const text of "abc") log.say(text);
      let release = () => {};
      collect({
        onMessage: (message) => {
          got.push(new TextDecoder().decode(message.body));
          return new Promise<void>((resolve) => {
            release = resolve;
          });
        },
      });
      await clock.advance(100);
      gateway.peer.break();
      await clock.advance(1_000);
      expect(gateway.peer.all("subscribe").at(-1)?.start).toEqual({ case: "after", value: 3n });
      for (let i = 0; i < 3; i += 1) {
        release();
        await clock.advance(10);
      }
      expect(got).toEqual(["a", "b", "c"]);
    });
  });

  describe("of a log that is not kept from the beginning", () => {
    const truncate = (peer: Peer, request: bigint) =>
      peer.send({ case: "fetched", value: { request, answer: { case: "truncatedAt", value: 2n } } });

    it("tells the skipped range, never skips it in silence, and goes on (teleproto#16)", async () => {
      for (const text of "abcd") log.say(text);
      const told: unknown[] = [];
      const subscription = await silent({ onTruncated: (truncation) => void told.push(truncation) });
      const subscribing = gateway.script;
      gateway.script = (peer, frame) => {
        if (frame.case !== "fetch") return subscribing(peer, frame);
        truncate(peer, frame.value.request);
        return true;
      };
      deliver(log.batches[2], log.batches[3]);
      await clock.advance(5_000);
      expect(told).toEqual([{ after: 0, through: 2 }]);
      expect(got).toEqual(["c", "d"]);
      expect(subscription.position).toBe(4);
    });

    it("ends with TRUNCATED when nobody listens for it, and says where to go on", async () => {
      for (const text of "abcd") log.say(text);
      const subscription = await silent();
      const subscribing = gateway.script;
      gateway.script = (peer, frame) => {
        if (frame.case !== "fetch") return subscribing(peer, frame);
        truncate(peer, frame.value.request);
        return true;
      };
      deliver(log.batches[3]);
      expect(await clock.until(subscription.ended)).toMatchObject({ code: "TRUNCATED", details: { first: "3" } });
      expect(got).toEqual([]);
      expect(client.faults).toMatchObject([{ error: { code: "TRUNCATED" } }]);
    });

    it("goes on after the range when the node refuses the subscription for it", async () => {
      for (const text of "abcd") log.say(text);
      gateway.script = (peer, frame) => {
        if (frame.case !== "subscribe" || (frame.value.start.value ?? 0n) === 2n) return false;
        const error = toErrorDetail(new MeridianError("TRUNCATED", "gone", { details: { first: "3" } }));
        peer.send({ case: "subscriptionEnded", value: { subscription: frame.value.subscription, error } });
        return true;
      };
      const told: unknown[] = [];
      collect({ onTruncated: (truncation) => void told.push(truncation) });
      await clock.advance(1_000);
      expect(told).toEqual([{ after: 0, through: 2 }]);
      expect(got).toEqual(["c", "d"]);
    });
  });

  describe("of doubtful content", () => {
    const forged = (text: string, after: Batch) =>
      encodeBatch({
        conversation: "standup",
        firstSeq: after.lastSeq + 1,
        firstId: 77n,
        prevHash: "ab".repeat(16),
        entries: [entryOf(text)],
        watermark: { seq: 0, hash: "0".repeat(32) },
      });

    it("hands over nothing that does not chain, asks another node once, and goes on there [G1]", async () => {
      const [a, b] = [log.say("a"), log.say("b")];
      world.gateway("b:1");
      client = world.client({ endpoints: ["a:1", "b:1"] });
      const subscription = await silent();
      deliver(a, forged("evil", a));
      await clock.advance(5_000);
      expect(client.state).toMatchObject({ status: "ready", endpoint: "b:1" });
      expect(got).toEqual(["a", "b"]);
      expect(subscription.proof).toEqual({ seq: 2, hash: b.hash });
      expect(client.faults).toMatchObject([{ what: "a doubtful batch came", error: { code: "CORRUPT" } }]);
    });

    it("ends when the other node says the same: no endless reconnecting (mattermost#30388, FluidFramework#26099) [G1]", async () => {
      const a = log.say("a");
      const subscription = await silent();
      deliver(a, forged("evil", a));
      await clock.advance(1_000);
      expect(gateway.peers.length).toBe(2);
      deliver(forged("evil", a));
      expect(await clock.until(subscription.ended)).toMatchObject({ code: "CORRUPT" });
      await clock.advance(60_000);
      expect(gateway.peers.length).toBe(2);
      expect(client.state.status).toBe("ready");
      expect(got).toEqual(["a"]);
    });

    it("hands over nothing of a damaged batch", async () => {
      const a = log.say("a");
      const subscription = await silent();
      const bytes = Uint8Array.from(a.bytes);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
      for (let i = 0; i < 2; i += 1) {
        deliver({ ...a, bytes });
        await clock.advance(1_000);
      }
      expect(await subscription.ended).toMatchObject({ code: "CORRUPT" });
      expect(got).toEqual([]);
    });

    it("does not believe a second content of a seq that it has had", async () => {
      const a = log.say("a");
      await silent();
      deliver(a);
      await clock.advance(10);
      deliver({ ...a, bytes: encodeBatch({ ...a, conversation: "standup", entries: [entryOf("other")] }).bytes });
      await clock.advance(10);
      expect(client.faults).toMatchObject([{ error: { code: "CORRUPT" } }]);
      expect(got).toEqual(["a"]);
    });

    it("does not believe a node whose head contradicts the chain", async () => {
      const a = log.say("a");
      collect();
      await clock.advance(100);
      gateway.script = (peer, frame) => {
        if (frame.case !== "subscribe") return false;
        const head = wire({ seq: a.lastSeq, hash: "cd".repeat(16) });
        peer.send({ case: "subscribed", value: { subscription: frame.value.subscription, after: 1n, head } });
        return true;
      };
      gateway.peer.break();
      await clock.advance(1_000);
      expect(client.faults[0]).toMatchObject({ error: { code: "CORRUPT" } });
    });

    it("forgets what a doubtful node has promised", async () => {
      const [a, b] = [log.say("a"), log.say("b")];
      await silent();
      deliver(a, forged("evil", b));
      await clock.advance(10);
      deliver(forged("evil", a));
      await clock.advance(500);
      deliver(b);
      await clock.advance(5_000);
      expect(got).toEqual(["a", "b"]);
      expect(fetches()).toEqual([]);
    });
  });

  it("drops the batch furthest ahead when too much is parked, and fetches it later: nothing is lost (artio#405) [G9]", async () => {
    const batches = Array.from({ length: LIMITS.reorderMessages + 3 }, (_, i) => log.say(`${i}`));
    await silent();
    for (const batch of batches.slice(1)) deliver(batch);
    await clock.advance(LIMITS.holeWaitMs - 100);
    deliver(batches[0]);
    await clock.advance(20);
    expect(got.length).toBe(LIMITS.reorderMessages + 1);
    await clock.advance(5_000);
    expect(got).toEqual(batches.map((_, i) => `${i}`));
    expect(fetches()).toEqual([[LIMITS.reorderMessages + 2, LIMITS.reorderMessages + 3]]);
  });

  it("does not fetch while a full credit waits for the application [G9]", async () => {
    const body = "x".repeat(65_000);
    const batches = Array.from({ length: 150 }, () => log.say(body));
    const releases: (() => void)[] = [];
    await silent({
      onMessage: () => {
        got.push("");
        return new Promise<void>((resolve) => releases.push(resolve));
      },
    });
    deliver(batches.at(-1));
    const subscribing = gateway.script;
    let fetchedBytes = 0;
    gateway.script = (peer, frame) => {
      if (frame.case !== "fetch") return subscribing(peer, frame);
      const { request, fromSeq, toSeq } = frame.value;
      const page = log
        .from(Number(fromSeq))
        .filter(({ firstSeq }) => firstSeq <= toSeq)
        .slice(0, 20);
      for (const { bytes } of page) fetchedBytes += bytes.length;
      peer.send({
        case: "fetched",
        value: { request, answer: { case: "entries", value: { batches: page.map((b) => b.bytes) } } },
      });
      return true;
    };
    await clock.advance(60_000);
    expect(fetchedBytes).toBeGreaterThan(LIMITS.subscriptionCreditBytes);
    expect(fetchedBytes).toBeLessThan(2 * LIMITS.subscriptionCreditBytes);
    for (let i = 0; i < 150; i += 1) {
      releases.shift()?.();
      await clock.advance(600);
    }
    expect(got.length).toBe(150);
  });

  it("subscribes again after growing pauses when the node ends the subscription for a while", async () => {
    log.say("a");
    let refusals = 0;
    gateway.script = (peer, frame) => {
      if (frame.case !== "subscribe" || refusals === 4) return false;
      refusals += 1;
      const error = toErrorDetail(new MeridianError("OVERLOADED", "busy"));
      peer.send({ case: "subscriptionEnded", value: { subscription: frame.value.subscription, error } });
      return true;
    };
    collect();
    await clock.advance(10_000);
    expect(refusals).toBe(4);
    expect(got).toEqual(["a"]);
  });

  it("ends when the node refuses it for good", async () => {
    gateway.script = (peer, frame) => {
      if (frame.case !== "subscribe") return false;
      const error = toErrorDetail(new MeridianError("PERMISSION_DENIED", "not you"));
      peer.send({ case: "subscriptionEnded", value: { subscription: frame.value.subscription, error } });
      return true;
    };
    const subscription = collect({ consumer: "web" });
    expect(await clock.until(subscription.ended)).toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(subscription.started).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await clock.advance(60_000);
    expect(gateway.peer.all("subscribe").length).toBe(1);
  });
});
