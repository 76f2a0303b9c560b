import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Fetched, type FetchSchema, MeridianService } from "../../../src/gen/meridian/v1/client_pb.ts";
import { EntrySchema } from "../../../src/gen/meridian/v1/stored_pb.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { decodeBatch } from "../../../src/log/batch.ts";
import { CONVERSATION } from "../../support/chains.ts";
import { gatewayOf, TestSession, upTo } from "../../support/gateway.ts";
import { payload } from "../../support/sends.ts";

const { history, tail } = MeridianService.method;
const decoder = new TextDecoder();

/** A log with batches of 1, 2, 3, … messages, up to seq 55; seq 5 is a void. */
async function logged() {
  const gateway = gatewayOf();
  const { leaders } = gateway;
  for (let size = 1, seq = 1; size <= 10; size += 1) {
    const entries = Array.from({ length: size }, (_, i) => {
      const text = `text ${seq + i}`;
      const base = { sender: "ada", producer: 7n, counter: BigInt(seq + i) };
      return create(EntrySchema, seq + i === 5 ? { ...base, void: true } : { ...base, payload: payload(text) });
    });
    await leaders.commitEntries(CONVERSATION, entries);
    seq += size;
  }
  return gateway;
}

describe("fetch", () => {
  async function openSession() {
    const gateway = await logged();
    const session = new TestSession(gateway.channel);
    let request = 0n;
    const ask = (value: MessageInitShape<typeof FetchSchema>) => {
      request += 1n;
      session.write({ case: "fetch", value: { request, conversation: CONVERSATION, ...value } });
      return request;
    };
    const answer = (asked: bigint): Fetched["answer"] | undefined =>
      session.all("fetched").find((fetched) => fetched.request === asked)?.answer;
    const fetch = async (value: MessageInitShape<typeof FetchSchema>) => {
      const asked = ask(value);
      await gateway.clock.advance(0);
      return answer(asked);
    };
    return { ...gateway, session, ask, answer, fetch };
  }

  it("answers with the batches of the range, from the one that holds its first seq on", async () => {
    const { fetch } = await openSession();
    const answer = await fetch({ fromSeq: 5n, toSeq: 12n });
    const batches = answer?.case === "entries" ? answer.value.batches.map((bytes) => decodeBatch(CONVERSATION, bytes)) : [];
    expect(batches.map(({ firstSeq, lastSeq }) => [firstSeq, lastSeq])).toEqual([
      [4, 6],
      [7, 10],
      [11, 15],
    ]);
  });

  it("answers with the head where nothing is committed yet", async () => {
    const { fetch } = await openSession();
    expect(await fetch({ fromSeq: 56n, toSeq: 60n })).toMatchObject({ case: "notYet", value: { seq: 55n } });
    expect(await fetch({ conversation: "empty", fromSeq: 1n, toSeq: 1n })).toMatchObject({ case: "notYet", value: { seq: 0n } });
  });

  it("ends: asking on after each answer reaches the head in a bounded number of steps [G9]", async () => {
    const { fetch } = await openSession();
    const seen: number[] = [];
    for (let from = 1, steps = 0; ; steps += 1) {
      expect(steps).toBeLessThan(60);
      const answer = await fetch({ fromSeq: BigInt(from), toSeq: BigInt(from) });
      if (answer?.case === "notYet") break;
      expect(answer?.case).toBe("entries");
      const bytes = answer?.case === "entries" ? answer.value.batches : [];
      const last = bytes.map((batch) => decodeBatch(CONVERSATION, batch)).at(-1)?.lastSeq ?? 0;
      expect(last).toBeGreaterThanOrEqual(from);
      seen.push(last);
      from = last + 1;
    }
    expect(seen.at(-1)).toBe(55);
  });

  it("answers with an error when the log or the head cannot be had, within a bounded time [G9]", async () => {
    const { clock, leaders, reader, ask, answer } = await openSession();
    reader.before = () => new Promise(() => {});
    const stuck = ask({ fromSeq: 1n, toSeq: 5n });
    leaders.beforeAttach = async (conversation) => {
      if (conversation === "dead") throw new MeridianError("UNAVAILABLE", "nobody leads it");
    };
    const dead = ask({ conversation: "dead", fromSeq: 1n, toSeq: 5n });
    await clock.advance(LIMITS.callDeadlineMs);
    for (const asked of [stuck, dead]) {
      expect(answer(asked)).toMatchObject({ case: "error", value: { code: "UNAVAILABLE" } });
    }
  });

  it("refuses a range that is none", async () => {
    const { fetch } = await openSession();
    const ranges = [
      { fromSeq: 0n, toSeq: 5n },
      { fromSeq: 6n, toSeq: 5n },
      { fromSeq: 1n, toSeq: 1n << 60n },
      { conversation: "" },
    ];
    for (const range of ranges) {
      expect(await fetch(range)).toMatchObject({ case: "error", value: { code: "INVALID_ARGUMENT" } });
    }
  });

  it("is refused beyond 64 at a time, and all are let go when the session ends [G9]", async () => {
    const { clock, reader, followers, service, session, ask, answer } = await openSession();
    reader.before = () => new Promise(() => {});
    for (let i = 0; i < LIMITS.fetchesPerSession; i += 1) ask({ fromSeq: 1n, toSeq: 5n });
    const late = ask({ fromSeq: 1n, toSeq: 5n });
    await clock.advance(0);
    expect(answer(late)).toMatchObject({ case: "error", value: { code: "OVERLOADED" } });
    session.close();
    await clock.advance(0);
    expect(service.sessions()).toBe(0);
    await clock.advance(LIMITS.followerLingerMs);
    expect(followers.size).toBe(0);
  });
});

describe("History", () => {
  const options = { deadlineMs: 60_000 };

  it("answers with the messages of a range without its voids, and says how far it goes", async () => {
    const { clock, channel } = await logged();
    const ask = (after: number, limit = 0) =>
      clock.until(channel.unary(history, { conversation: CONVERSATION, after: BigInt(after), limit }, options));
    const some = await ask(2, 5);
    expect(some.messages.map(({ seq }) => Number(seq))).toEqual([3, 4, 6, 7]);
    expect(some).toMatchObject({ through: 7n, headSeq: 55n });
    const [first] = some.messages;
    expect(first).toMatchObject({ id: 1_002n, sender: "ada", producer: 7n, counter: 3n, type: "text/plain", sentAtMs: 1n });
    expect(decoder.decode(first?.body)).toBe("text 3");
    expect((await ask(0)).messages.map(({ seq }) => Number(seq))).toEqual(upTo(55).filter((seq) => seq !== 5));
    expect(await ask(55)).toMatchObject({ messages: [], through: 55n, headSeq: 55n });
    expect(await ask(99)).toMatchObject({ messages: [], through: 99n, headSeq: 55n });
  });

  it("ends an answer before its frame is full, and goes on after it [G9]", async () => {
    const { clock, leaders, channel } = gatewayOf();
    for (let i = 0; i < 60; i += 1) await leaders.commit(CONVERSATION, "x".repeat(60_000));
    const seqs: number[] = [];
    let calls = 0;
    for (let after = 0n; after < 60n; calls += 1) {
      const request = { conversation: CONVERSATION, after, limit: 1_000 };
      const answer = await clock.until(channel.unary(history, request, options));
      expect(answer.through).toBeGreaterThan(after);
      seqs.push(...answer.messages.map(({ seq }) => Number(seq)));
      after = answer.through;
    }
    expect(seqs).toEqual(upTo(60));
    expect(calls).toBeGreaterThan(2);
  });

  it("refuses what it cannot answer, and waits at most 10 s [G9]", async () => {
    const { clock, channel, reader } = await logged();
    const ask = (request: { conversation?: string; after?: bigint; limit?: number }) =>
      clock.until(channel.unary(history, { conversation: CONVERSATION, ...request }, options));
    await expect(ask({ conversation: "" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(ask({ limit: 1_001 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(ask({ after: 1n << 60n })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    reader.before = () => new Promise(() => {});
    const before = clock.monotonicMs();
    await expect(ask({})).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(clock.monotonicMs() - before).toBeLessThanOrEqual(LIMITS.callDeadlineMs);
  });
});

describe("Tail", () => {
  async function follow(after?: bigint) {
    const gateway = await logged();
    const stop = new AbortController();
    const seqs: number[] = [];
    const reading = (async () => {
      const request = { conversation: CONVERSATION, ...(after === undefined ? {} : { after }) };
      for await (const { message } of gateway.channel.serverStream(tail, request, { signal: stop.signal })) {
        seqs.push(Number(message?.seq));
      }
    })();
    reading.catch(() => {});
    await gateway.clock.advance(0);
    return { ...gateway, stop, seqs, reading };
  }

  it("follows from the head, or from after a seq, through changes of the leader [G1]", async () => {
    for (const [after, before] of [
      [undefined, []],
      [3n, upTo(55, 4).filter((seq) => seq !== 5)],
      [56n, []],
    ] as const) {
      const { clock, leaders, seqs } = await follow(after);
      expect(seqs).toEqual(before);
      await leaders.commit(CONVERSATION, "56");
      leaders.end(CONVERSATION);
      await leaders.commit(CONVERSATION, "57", "58");
      await clock.advance(3_000);
      expect(seqs).toEqual([...before, ...upTo(58, after === 56n ? 57 : 56)]);
    }
  });

  it("lets everything go when its caller goes, and throws when the conversation forks", async () => {
    const { clock, leaders, followers, stop } = await follow();
    stop.abort();
    await clock.advance(LIMITS.followerLingerMs + 1);
    expect(followers.size).toBe(0);
    expect(leaders.listeners(CONVERSATION)).toBe(0);

    const forked = await follow();
    forked.leaders.rewrite(CONVERSATION, { seq: 55, hash: "f".repeat(32) });
    forked.leaders.end(CONVERSATION);
    await expect(forked.clock.until(forked.reading)).rejects.toMatchObject({ code: "CORRUPT" });
  });
});
