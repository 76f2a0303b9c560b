import { describe, expect, it } from "vitest";
import { Appends } from "../../../../src/adapters/cassandra/appends.ts";
import { Deferred } from "../../../../src/kernel/deferred.ts";
import { LIMITS } from "../../../../src/kernel/limits.ts";
import type { Row } from "../../../../src/ports/log-store.ts";

function setUp() {
  const sent: (readonly Row[])[] = [];
  const answers: Deferred<void>[] = [];
  const appends = new Appends((rows) => {
    sent.push(rows);
    const answer = new Deferred<void>();
    answers.push(answer);
    return answer.promise;
  });
  const shape = () => sent.map((rows) => rows.map(({ conversation, firstSeq }) => `${conversation} ${firstSeq}`));
  return { appends, sent, answers, shape };
}

function row(conversation: string, firstSeq: number, bytes = 100): Row {
  return { conversation, firstSeq, epoch: 1n, bytes: new Uint8Array(bytes) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("appending rows", () => {
  it("makes one mutation of what a partition gets in one moment, and keeps its order", async () => {
    const { appends, shape } = setUp();

    for (const firstSeq of [1, 129, 257]) void appends.append(row("standup", firstSeq));
    void appends.append(row("retro", 1));
    await turn();
    void appends.append(row("standup", 385));
    await turn();

    expect(shape()).toEqual([["standup 1", "standup 129", "standup 257"], ["retro 1"], ["standup 385"]]);
  });

  it("keeps buckets apart", async () => {
    const { appends, shape } = setUp();

    for (const firstSeq of [LIMITS.bucketMessages - 1, LIMITS.bucketMessages + 1]) void appends.append(row("standup", firstSeq));
    await turn();

    expect(shape()).toEqual([["standup 4095"], ["standup 4097"]]);
  });

  it("leaves some of a leader's batches for the next mutation", async () => {
    const { appends, sent } = setUp();

    for (let nth = 0; nth < LIMITS.batchesInFlight; nth += 1) void appends.append(row("standup", 1 + nth));
    await turn();

    expect(sent.map(({ length }) => length)).toEqual([LIMITS.cassandraRowsAtOnce, LIMITS.cassandraRowsAtOnce]);
  });

  it("sends large rows one by one", async () => {
    const { appends, sent } = setUp();

    for (const firstSeq of [1, 2, 3]) void appends.append(row("standup", firstSeq, LIMITS.batchBytes * 0.6));
    await turn();

    expect(sent.map(({ length }) => length)).toEqual([1, 1, 1]);
  });

  it("settles each row as its mutation does", async () => {
    const { appends, answers } = setUp();
    const all = [1, 2, 3, 4, 5].map((firstSeq) => appends.append(row("standup", firstSeq)));
    const settled = Promise.allSettled(all);
    await turn();

    answers[0]?.reject(new Error("no majority"));
    answers[1]?.resolve();

    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected", "rejected", "fulfilled"]);
  });
});
