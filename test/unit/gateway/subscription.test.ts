import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../sim/random.ts";
import { Outlet, type SessionStream } from "../../../src/gateway/outlet.ts";
import { Pages } from "../../../src/gateway/pages.ts";
import { Subscriptions } from "../../../src/gateway/subscriptions.ts";
import { SubscribeSchema, UnsubscribeSchema } from "../../../src/gen/meridian/v1/client_pb.ts";
import { Background } from "../../../src/kernel/background.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { batchAfter, CONVERSATION, endOf, put } from "../../support/chains.ts";
import { gatewayOf, TestSession, upTo } from "../../support/gateway.ts";

const LARGE = "x".repeat(60_000);

/** A gateway with this many batches of one message in the log, and a session. */
async function openSession(logged: number) {
  const gateway = gatewayOf();
  for (let i = 1; i <= logged; i += 1) await gateway.leaders.commit(CONVERSATION, `text ${i}`);
  const session = new TestSession(gateway.channel);
  await gateway.clock.advance(0);
  const ended = () => session.all("subscriptionEnded").map(({ subscription, error }) => `${subscription} ${error?.code}`);
  return { ...gateway, session, ended };
}

describe("Subscription", () => {
  it("delivers what stands in the log, then what comes, after the place asked for", async () => {
    const { clock, leaders, session } = await openSession(5);
    session.subscribe(1n, { start: { case: "after", value: 2n } });
    session.subscribe(2n, { start: { case: "atHead", value: true } });
    session.subscribe(3n);
    session.subscribe(4n, { start: { case: "after", value: 6n } });
    await clock.advance(0);
    await leaders.commit(CONVERSATION, "6", "7", "8");
    await clock.advance(0);
    expect(session.seqs(1n)).toEqual(upTo(8, 3));
    expect(session.seqs(2n)).toEqual([6, 7, 8]);
    expect(session.seqs(3n)).toEqual(upTo(8));
    expect(session.seqs(4n)).toEqual([7, 8]);
    expect(session.batches(4n).map(({ firstSeq }) => firstSeq)).toEqual([6]);
    const { hash } = leaders.batches(CONVERSATION)[4] ?? { hash: "" };
    expect(session.all("subscribed")).toMatchObject(
      [2n, 5n, 0n, 6n].map((after) => ({ after, head: { seq: 5n, hash: new Uint8Array(Buffer.from(hash, "hex")) } })),
    );
  });

  /**
   * Everything of a subscription's start happens in microtasks here, so counting them names every moment. The messages are
   * committed at one of them, and in some courses the leader goes at the same moment or a few later.
   */
  it("misses and repeats nothing, whenever messages come while it starts and whenever the leader goes [G1, G4]", async () => {
    for (const consumer of ["", "reader"]) {
      for (const leaderGoesLater of consumer === "" ? [undefined, 0, 3] : [undefined]) {
        for (let moment = 0; moment <= 30; moment += 1) {
          const { clock, leaders, session } = await openSession(3);
          let begun = false;
          leaders.beforeAttach = async () => {
            if (begun) return;
            begun = true;
            comeLater().catch((error: unknown) => {
              throw error;
            });
          };
          const comeLater = async () => {
            for (let i = 0; i < moment; i += 1) await undefined;
            await leaders.commit(CONVERSATION, "4", "5");
            if (leaderGoesLater !== undefined) {
              for (let i = 0; i < leaderGoesLater; i += 1) await undefined;
              leaders.end(CONVERSATION);
            }
            await leaders.commit(CONVERSATION, "6");
          };
          session.subscribe(1n, { consumer });
          await clock.advance(200);
          await leaders.commit(CONVERSATION, "7");
          await clock.advance(0);
          expect(session.seqs(1n), `${consumer} moment ${moment}, leader goes ${leaderGoesLater}`).toEqual(upTo(7));
        }
      }
    }
  });

  it("misses and repeats nothing when messages come while a page of the log is read", async () => {
    for (const when of ["before", "after"] as const) {
      const { clock, leaders, reader, session } = await openSession(3);
      reader[when] = async () => {
        reader[when] = async () => {};
        await leaders.commit(CONVERSATION, "4");
        leaders.end(CONVERSATION);
        await leaders.commit(CONVERSATION, "5");
      };
      session.subscribe(1n);
      await clock.advance(5_000);
      expect(session.seqs(1n)).toEqual(upTo(5));
    }
  });

  it("waits for credit, falls back to the log when it is slow, and loses nothing [G9]", async () => {
    const { clock, leaders, reader, session } = await openSession(1);
    session.subscribe(1n, { creditBytes: 1n });
    await clock.advance(0);
    expect(session.seqs(1n)).toEqual([1]);
    const { pages } = reader;
    for (let i = 2; i <= 101; i += 1) await leaders.commit(CONVERSATION, LARGE);
    await clock.advance(10_000);
    expect(session.seqs(1n)).toEqual([1]);
    for (let given = 0; session.seqs(1n).length < 101; given += 1) {
      const before = session.seqs(1n).length;
      session.credit(1n, 150_000);
      await clock.advance(0);
      const more = session.seqs(1n).length - before;
      expect(more).toBeGreaterThan(0);
      expect(more).toBeLessThanOrEqual(3);
      expect(given).toBeLessThan(101);
    }
    expect(session.seqs(1n)).toEqual(upTo(101));
    expect(reader.pages).toBeGreaterThan(pages + 20);
    const atEnd = reader.pages;
    session.credit(1n, 1_000_000);
    await leaders.commit(CONVERSATION, "102");
    await clock.advance(0);
    expect(session.seqs(1n).at(-1)).toBe(102);
    expect(reader.pages).toBe(atEnd);
  });

  it("puts at most 512 KiB of batches into a frame, and what is committed together into one", async () => {
    const { clock, leaders, session } = await openSession(0);
    for (let i = 1; i <= 30; i += 1) await leaders.commit(CONVERSATION, LARGE);
    session.subscribe(1n);
    await clock.advance(0);
    const sizes = session.all("delivery").map(({ batches }) => batches.reduce((sum, bytes) => sum + bytes.length, 0));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(LIMITS.deliveryBytes);
    expect(sizes.length).toBe(4);
    for (let i = 31; i <= 60; i += 1) await leaders.commit(CONVERSATION, "small");
    await clock.advance(0);
    expect(session.seqs(1n)).toEqual(upTo(60));
    expect(session.all("delivery").length).toBeLessThanOrEqual(sizes.length + 2);
  });

  it("serves a thousand readers of one conversation with one feed, and with one read for all that want the same [G9]", async () => {
    const { clock, leaders, reader, session } = await openSession(5);
    for (let i = 1; i <= 1_000; i += 1) session.subscribe(BigInt(i));
    await clock.advance(0);
    await leaders.commit(CONVERSATION, "6");
    await clock.advance(0);
    for (let i = 1; i <= 1_000; i += 100) expect(session.seqs(BigInt(i))).toEqual(upTo(6));
    expect(new Set(session.all("delivery").map(({ subscription }) => subscription)).size).toBe(1_000);
    expect(leaders.attaches).toBe(1);
    expect(reader.pages).toBeLessThan(1_000);
  });

  it("writes no more to a client that does not read than the stream's window and a few pages [G9]", async () => {
    const { clock, leaders, channel, reader } = gatewayOf();
    for (let i = 1; i <= 100; i += 1) await leaders.commit(CONVERSATION, LARGE);
    const session = new TestSession(channel, { reads: false });
    for (let i = 1; i <= 20; i += 1) session.subscribe(BigInt(i), { creditBytes: 1n << 40n });
    await clock.advance(10_000);
    const frames = LIMITS.streamWindowBytes / LIMITS.deliveryBytes + 1 + LIMITS.pagesPerSession;
    expect(reader.pages).toBeLessThanOrEqual(frames);
    session.read();
    await clock.until(
      (async () => {
        while (session.all("delivery").length < 20 * 13) await clock.nextTurn();
      })(),
    );
    for (let i = 1; i <= 20; i += 1) expect(session.seqs(BigInt(i)).length).toBe(100);
    expect(session.end).toBe("open");
  });

  it("goes on through changes of the leader, from the log where the feed has left something out [G1]", async () => {
    const { clock, leaders, session } = await openSession(2);
    session.subscribe(1n);
    await clock.advance(0);
    for (let round = 0; round < 10; round += 1) {
      await leaders.commit(CONVERSATION, "heard");
      leaders.end(CONVERSATION);
      await leaders.commit(CONVERSATION, "unheard", "unheard");
      await clock.advance(3_000);
    }
    expect(session.seqs(1n)).toEqual(upTo(32));
  });

  it("ends at a fork with CORRUPT, and delivers nothing of it, not even to later readers [G1]", async () => {
    const { clock, leaders, session, ended, telemetry } = await openSession(2);
    session.subscribe(1n);
    await clock.advance(0);
    leaders.rewrite(CONVERSATION, { seq: 2, hash: "f".repeat(32) });
    leaders.end(CONVERSATION);
    await clock.advance(3_000);
    await leaders.commit(CONVERSATION, "of another history");
    session.subscribe(2n);
    await clock.advance(60_000);
    expect(ended()).toEqual(["1 CORRUPT", "2 CORRUPT"]);
    expect(session.seqs(1n)).toEqual([1, 2]);
    expect(session.seqs(2n)).toEqual([]);
    expect(telemetry.events()).toContain("feed.fork");
  });

  it("sees a fork that no feed shows: the log after a change of leaders does not chain on to what was delivered [G1]", async () => {
    const { clock, leaders, store, session, ended } = await openSession(2);
    session.subscribe(1n);
    await clock.advance(0);
    const other = batchAfter({ seq: 2, hash: "f".repeat(32) }, ["of another", "history"]);
    await put(store, 2n, other);
    leaders.rewrite(CONVERSATION, endOf(other));
    leaders.end(CONVERSATION);
    await clock.advance(3_000);
    expect(ended()).toEqual(["1 CORRUPT"]);
    expect(session.seqs(1n)).toEqual([1, 2]);
  });

  it("delivers no page that was on its way when the fork was seen [G1]", async () => {
    const { clock, leaders, reader, session, ended } = await openSession(2);
    reader.after = async () => leaders.feed(CONVERSATION, batchAfter({ seq: 2, hash: "f".repeat(32) }, ["of another history"]));
    session.subscribe(1n);
    await clock.advance(0);
    expect(ended()).toEqual(["1 CORRUPT"]);
    expect(session.seqs(1n)).toEqual([]);
  });

  it("ends for every reader of a conversation when one of them meets a fork in the log [G1, R5]", async () => {
    const { clock, leaders, store, session, ended } = await openSession(3);
    session.subscribe(1n, { start: { case: "atHead", value: true } });
    await clock.advance(0);
    const first = leaders.batches(CONVERSATION)[0];
    const forked = { seq: 1, hash: "f".repeat(32) };
    if (first !== undefined) await put(store, 2n, batchAfter(endOf(first), ["of a leader that knew another history"], forked));
    session.subscribe(2n);
    await clock.advance(0);
    expect(ended().sort()).toEqual(["1 CORRUPT", "2 CORRUPT"]);
    expect(session.all("delivery")).toEqual([]);
  });

  it("reads the log again when that fails, and ends with the error after ten tries [G9]", async () => {
    const { clock, reader, session, ended, telemetry } = await openSession(3);
    const fail = async () => {
      throw new MeridianError("UNAVAILABLE", "no replica answers");
    };
    reader.before = fail;
    session.subscribe(1n);
    await clock.advance(40);
    expect(ended()).toEqual([]);
    reader.before = async () => {};
    await clock.advance(10_000);
    expect(session.seqs(1n)).toEqual([1, 2, 3]);
    reader.before = fail;
    const { pages } = reader;
    session.subscribe(2n);
    await clock.advance(60_000);
    expect(ended()).toEqual(["2 UNAVAILABLE"]);
    expect(reader.pages - pages).toBe(LIMITS.readTries);
    expect(telemetry.events().filter((event) => event === "reader.page_failed").length).toBeGreaterThanOrEqual(
      LIMITS.readTries - 1,
    );
  });

  it("ends when the conversation's head cannot be had within 10 s, or its name is none [G9]", async () => {
    const { clock, leaders, session, ended } = await openSession(1);
    leaders.beforeAttach = async () => {
      throw new MeridianError("UNAVAILABLE", "nobody leads it");
    };
    session.subscribe(1n, { conversation: "" });
    session.subscribe(2n);
    await clock.advance(0);
    expect(ended()).toEqual(["1 INVALID_ARGUMENT"]);
    await clock.advance(LIMITS.callDeadlineMs);
    expect(ended()).toEqual(["1 INVALID_ARGUMENT", "2 UNAVAILABLE"]);
  });

  it("ends at the client's wish, in every state, and its number is free again", async () => {
    const { clock, leaders, session, ended } = await openSession(2);
    const unsubscribe = (subscription: bigint) => session.write({ case: "unsubscribe", value: { subscription } });
    leaders.beforeAttach = (conversation) => (conversation === "stuck" ? new Promise(() => {}) : Promise.resolve());
    session.subscribe(1n, { conversation: "stuck" });
    unsubscribe(1n);
    session.subscribe(2n, { creditBytes: 0n });
    await clock.advance(0);
    unsubscribe(2n);
    await clock.advance(0);
    expect(ended()).toEqual(["1 undefined", "2 undefined"]);
    await leaders.commit(CONVERSATION, "3");
    await clock.advance(0);
    expect(session.all("delivery")).toEqual([]);
    session.subscribe(2n);
    await clock.advance(0);
    expect(session.seqs(2n)).toEqual([1, 2, 3]);
  });

  it("says of a number that it does not know that it has ended, and lives on", async () => {
    const { clock, session, ended } = await openSession(1);
    session.credit(5n, 1);
    session.acknowledge(6n, 1);
    session.write({ case: "unsubscribe", value: { subscription: 7n } });
    await clock.advance(0);
    expect(ended()).toEqual(["5 INVALID_ARGUMENT", "6 INVALID_ARGUMENT", "7 INVALID_ARGUMENT"]);
    expect(session.end).toBe("open");
  });
});

describe("Subscriptions", () => {
  it("are at most 10,000 in a session [G9]", async () => {
    const parts = gatewayOf();
    const ended: string[] = [];
    const stream: Pick<SessionStream, "write"> = {
      write: ({ frame }) => {
        if (frame?.case === "subscriptionEnded") ended.push(`${frame.value.subscription} ${frame.value.error?.code}`);
        return true;
      },
    };
    const background = new Background((what, error) => {
      throw new Error(`${what}: ${error.message}`);
    });
    const pages = new Pages({ source: parts.reader, clock: parts.clock });
    const unused = { node: "", region: "", bodyBytesMax: 0, newProducerId: async () => 0n };
    const gateway = { ...parts, ...unused, pages, random: new SeededRandom(1) };
    const subscriptions = new Subscriptions({ gateway, outlet: new Outlet(stream as SessionStream, background), background });
    const subscribe = (subscription: bigint) => {
      subscriptions.subscribe(create(SubscribeSchema, { subscription, conversation: CONVERSATION }));
    };
    for (let i = 1n; i <= LIMITS.subscriptionsPerSession; i += 1n) subscribe(i);
    expect(ended).toEqual([]);
    subscribe(20_000n);
    expect(ended).toEqual(["20000 OVERLOADED"]);
    subscriptions.unsubscribe(create(UnsubscribeSchema, { subscription: 1n }));
    await parts.clock.advance(0);
    subscribe(20_001n);
    expect(ended).toEqual(["20000 OVERLOADED", "1 undefined"]);
    expect(subscriptions.size).toBe(LIMITS.subscriptionsPerSession);
    subscriptions.close();
    await background.stop();
    expect(subscriptions.size).toBe(0);
  });
});
