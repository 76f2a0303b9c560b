import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { World } from "../../../sim/world.ts";
import type { Client, Message, Outcome, SubscribeOptions } from "../../../src/index.ts";
import { MeridianError } from "../../../src/index.ts";
import type { RecordLine } from "../../../src/verify/record.ts";
import type { RecordSink } from "../../../src/verify/record-writer.ts";
import { Recorder } from "../../../src/verify/recorder.ts";
import { verifyRecord } from "../../../src/verify/verdict.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

class MemorySink implements RecordSink {
  text = "";

  async write(text: string): Promise<void> {
    this.text += text;
  }

  lines(): readonly RecordLine[] {
    return this.texts().map((line) => JSON.parse(line) as RecordLine);
  }

  texts(): readonly string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

let sink: MemorySink;

beforeEach(() => {
  sink = new MemorySink();
});

const about = { about: "a test", regions: ["local"], conversations: ["standup", "orders"] };

describe("a recorded run", () => {
  async function setUp() {
    const world = new World({ telemetry: new MemoryTelemetry() });
    const node = await world.start("one");
    const recorder = new Recorder({ sink, clock: world.clock, ...about });
    const client = (name: string) =>
      recorder.client(world.client(name, { endpoints: [node.address] }), { name, region: "local" });
    return { world, recorder, client };
  }

  it("holds, whatever was said twice, given a key or refused [G1] [G3] [G6] [G8]", async () => {
    const { world, recorder, client } = await setUp();
    const [one, two] = [client("one"), client("two")];
    const seen: number[] = [];
    const readers = ["standup", "orders"].map((conversation) =>
      two.read({ reader: `reader/${conversation}`, conversation, after: 0, onMessage: ({ seq }) => void seen.push(seq) }),
    );
    const say = (sender: string, text: string, key?: string) =>
      one.producer({ sender }).send("standup", text, key === undefined ? {} : { key });
    await world.clock.until(Promise.all(["ada", "bob", "ada", "bob"].map((sender) => say(sender, "yes"))));
    const [first, again] = await world.clock.until(Promise.all([say("ada", "once", "k1"), say("ada", "bytes", "k2")]));
    expect([first, again]).toMatchObject([{ status: "committed" }, { status: "committed" }]);
    await world.clock.until(two.producer({ sender: "cyd" }).send("orders", Uint8Array.of(0xff), { key: Uint8Array.of(1, 2) }));
    await world.clock.advance(2_000);
    await world.clock.until(two.producer({ sender: "cyd" }).send("standup", "I have read you all"));
    await world.clock.advance(2_000);
    await expect(world.clock.until(say("ada", "x".repeat(2_000_000)))).rejects.toMatchObject({ code: "TOO_LARGE" });
    await world.clock.until(Promise.all([one.head("standup"), one.head("orders")]));
    await world.clock.until(Promise.all(readers.map((reader) => reader.close())));
    await world.clock.until(recorder.end());
    expect(seen).toHaveLength(8);
    const verdict = await verifyRecord(sink.texts());
    expect({ status: verdict.status, errors: verdict.errors, lines: verdict.lines }).toEqual({
      status: "holds",
      errors: [],
      lines: { header: 1, send: 9, outcome: 9, delivery: 8, position: 4, head: 2, end: 1 },
    });
    expect(verdict.checks.map(({ guarantee, status }) => `${guarantee} ${status}`)).toEqual(
      ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"].map((guarantee) => `${guarantee} holds`),
    );
    expect(verdict.checks.find(({ guarantee }) => guarantee === "G3")?.denominators).toMatchObject({ sends: 9, alike: 0 });
    expect(sink.lines().flatMap((line) => (line.t === "send" && line.key !== undefined ? [line.key] : []))).toEqual([
      "k1",
      "k2",
      "0102",
    ]);
  });

  it("tells what a client had seen before it sent: its own outcomes and what it was handed [G8]", async () => {
    const { world, recorder, client } = await setUp();
    const ada = client("one");
    ada.read({ reader: "reader", conversation: "orders", after: 0 });
    const own = await world.clock.until(ada.producer({ sender: "ada" }).send("standup", "one"));
    const other = await world.clock.until(client("two").producer({ sender: "bob" }).send("orders", "two"));
    await world.clock.advance(2_000);
    await world.clock.until(ada.producer({ sender: "ada" }).send("standup", "three"));
    await world.clock.until(recorder.end());
    const seen = sink.lines().flatMap((line) => (line.t === "send" && line.sender === "ada" ? [line.seenId] : []));
    expect(own.status === "committed" && other.status === "committed" && other.id > own.id).toBe(true);
    expect(seen).toEqual(["0", other.status === "committed" && String(other.id)]);
  });
});

/** A client whose answers are written here. */
function scripted(script: { readonly outcomes?: readonly Outcome[]; readonly resolved?: Outcome }) {
  const outcomes = [...(script.outcomes ?? [])];
  let options: SubscribeOptions = {};
  const subscription = {
    position: 0,
    started: Promise.resolve(),
    ended: new Promise<undefined>(() => {}),
    close: async () => {},
  };
  const client = {
    producer: () => ({ send: async () => outcomes.shift() }),
    resolve: async () => script.resolved,
    subscribe: (_conversation: string, given: SubscribeOptions) => {
      options = given;
      return subscription;
    },
  };
  const hand = async (seq: number) => {
    const message = { seq, id: BigInt(seq), sender: "ada", type: "", body: new Uint8Array(), conversation: "standup" };
    await options.onMessage?.(message as unknown as Message, { attempt: 1, signal: new AbortController().signal });
    subscription.position = seq;
  };
  return { client: client as unknown as Client, subscription, hand };
}

describe("a recorder", () => {
  const clock = new VirtualClock();
  const recorded = (client: Client) => {
    const recorder = new Recorder({ sink, clock, ...about });
    return { recorder, client: recorder.client(client, { name: "laptop", region: "local" }) };
  };

  it("takes what was not handed over for voids: between two messages, and before the place that a reader has come to [G1]", async () => {
    const { client: inner, hand, subscription } = scripted({});
    const { recorder, client } = recorded(inner);
    const reader = client.read({ reader: "r", conversation: "standup", after: 2 });
    for (const seq of [3, 6]) await hand(seq);
    subscription.position = 70_007;
    await reader.close();
    await recorder.end();
    const told = sink.lines().map((line) => {
      if (line.t === "void") return `void ${line.first}-${line.last}`;
      return line.t === "delivery" || line.t === "position" ? `${line.t} ${line.seq}` : line.t;
    });
    expect(told).toEqual([
      "header",
      "position 2",
      "delivery 3",
      "void 4-5",
      "delivery 6",
      "void 7-65542",
      "void 65543-70007",
      "position 70007",
      "end",
    ]);
  });

  it("records an unknown end, and the one that it was resolved to [G6]", async () => {
    const unknown: Outcome = { status: "unknown", retryKey: "k" };
    const { client: inner } = scripted({ outcomes: [unknown], resolved: { status: "committed", seq: 4, id: 9n } });
    const { recorder, client } = recorded(inner);
    await client.producer({ sender: "ada" }).send("standup", "x");
    await client.resolve("k");
    await expect(client.resolve("k")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await recorder.end();
    expect(sink.lines().filter(({ t }) => t === "outcome")).toMatchObject([
      { producer: "laptop/ada", n: 1, status: "unknown" },
      { producer: "laptop/ada", n: 1, status: "committed", seq: 4, id: "9" },
    ]);
  });

  it("makes those who write more wait for a slow sink, and loses no line [G9]", async () => {
    const slow: RecordSink = {
      write: async (text) => {
        await new Promise<void>((resolve) => clock.after(100, resolve));
        sink.text += text;
      },
    };
    const recorder = new Recorder({ sink: slow, clock, ...about });
    const sender = "a".repeat(1_000);
    const head = { t: "head", region: "local", conversation: sender, seq: 0, hash: "0".repeat(32) } as const;
    for (let line = 0; line < 8_000; line += 1) recorder.write(head);
    await clock.until(recorder.room());
    for (let line = 0; line < 8_000; line += 1) recorder.write(head);
    let hasRoom = false;
    const room = recorder.room().then(() => {
      hasRoom = true;
    });
    await clock.advance(50);
    expect(hasRoom).toBe(false);
    await clock.until(room);
    await clock.until(recorder.end());
    expect(sink.lines()).toHaveLength(16_002);
    expect(sink.lines().at(-1)).toMatchObject({ t: "end", lines: 16_001 });
  });

  it("says that the record is lost when it cannot be written", async () => {
    const full: RecordSink = { write: () => Promise.reject(new MeridianError("UNAVAILABLE", "no space is left")) };
    const recorder = new Recorder({ sink: full, clock, ...about });
    const failure = { code: "UNAVAILABLE", message: "the record cannot be written: no space is left" };
    await expect(recorder.end()).rejects.toMatchObject(failure);
    await expect(recorder.room()).rejects.toMatchObject(failure);
  });
});
