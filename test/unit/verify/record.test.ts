import { describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { type ParsedLine, parseRecord, parseRecordLine } from "../../../src/verify/parse.ts";
import { digestOf, formatRecordLine, type RecordLine } from "../../../src/verify/record.ts";
import { exitCodeOf } from "../../../src/verify/report.ts";
import { verifyRecord } from "../../../src/verify/verdict.ts";
import { makeRun, recordOf } from "./run.ts";
import { Tampered } from "./tampered.ts";

const encoder = new TextEncoder();
const lines = recordOf(makeRun(40));
const ofKind = <T extends RecordLine["t"]>(t: T) => lines.find((line) => line.t === t) as RecordLine & { t: T };

async function parsed(texts: Iterable<string> | AsyncIterable<string>): Promise<ParsedLine[]> {
  const all: ParsedLine[] = [];
  for await (const line of parseRecord(texts)) all.push(line);
  return all;
}

async function* later(texts: readonly string[]): AsyncGenerator<string> {
  yield* texts;
}

describe("a record", () => {
  it("comes back as it was written, line by line", async () => {
    expect(new Set(lines.map(({ t }) => t)).size).toBe(9);
    const expected = lines.map((facts, at) => ({ line: at + 1, facts }));
    expect(await parsed(lines.map(formatRecordLine))).toEqual(expected);
    expect(await parsed(later(lines.map(formatRecordLine)))).toEqual(expected);
  });

  it("keeps the numbers of its lines when some are empty or broken", async () => {
    const [header, end] = [formatRecordLine(lines[0] as RecordLine), formatRecordLine(ofKind("end"))];
    const found = await parsed([header, "", "{", end]);
    expect(found.map(({ line }) => line)).toEqual([1, 3, 4]);
    expect(found[1]).toMatchObject({ line: 3, error: "the line is not JSON" });
  });

  it("leaves out what it does not know", () => {
    const text = JSON.stringify({ ...ofKind("delivery"), weather: "fine" });
    expect(parseRecordLine(text)).toEqual(ofKind("delivery"));
  });

  const WRONG: readonly (readonly [string, object | string, string])[] = [
    ["an array", "[]", "the line is not a JSON object"],
    ["another kind", { t: "rumour" }, `"t" of the line is not one of`],
    ["no kind", {}, `the line has no "t"`],
    ["another version", { ...ofKind("header"), version: 2 }, "the record has version 2; this program reads 1"],
    ["no regions", { ...ofKind("header"), regions: [] }, `"regions" of the line is not a list of 1 to 30 different texts`],
    ["a region twice", { ...ofKind("header"), regions: ["a", "a"] }, `"regions" of the line is not a list`],
    [
      "31 regions",
      { ...ofKind("header"), regions: Array.from({ length: 31 }, (_, i) => `r${i}`) },
      `"regions" of the line is not`,
    ],
    ["no start", { ...ofKind("header"), startedAtMs: undefined }, `the line has no "startedAtMs"`],
    ["an empty name", { ...ofKind("send"), client: "" }, `"client" of the line is not a text that is not empty`],
    ["number 0", { ...ofKind("send"), n: 0 }, `"n" of the line is not an integer from 1`],
    ["a short digest", { ...ofKind("send"), digest: "abc" }, `"digest" of the line is not 16 to 64 lower-case hex digits`],
    ["an id as a number", { ...ofKind("send"), seenId: 7 }, `"seenId" of the line is not an unsigned 64-bit number`],
    ["an id with a zero in front", { ...ofKind("send"), seenId: "07" }, `"seenId" of the line is not an unsigned`],
    ["an id of 65 bits", { ...ofKind("delivery"), id: "18446744073709551616" }, `"id" of the line is not an unsigned`],
    ["a seq of a half", { ...ofKind("delivery"), seq: 1.5 }, `"seq" of the line is not an integer from 1`],
    ["another status", { ...ofKind("outcome"), status: "lost" }, `"status" of the line is not one of committed, rejected`],
    ["no error", { ...ofKind("outcome"), status: "rejected" }, `the line has no "error"`],
    ["a void backwards", { ...ofKind("void"), first: 9, last: 8 }, `"last" of the line is not an integer from 9`],
    ["a million voids", { ...ofKind("void"), first: 1, last: 1e6 }, "a line holds at most 65536 voids, not 1000000"],
    ["another fault", { ...ofKind("fault"), kind: "flood" }, `"kind" of the line is not one of kill, restore`],
    ["half an epoch", { ...ofKind("fault"), epochs: [{ conversation: "a", before: "1" }] }, `an item of "epochs" has no "after"`],
  ];

  it.each(WRONG)("is broken by %s", (_name, line, message) => {
    const text = typeof line === "string" ? line : JSON.stringify(line);
    expect(() => parseRecordLine(text)).toThrow(MeridianError);
    expect(() => parseRecordLine(text)).toThrow(message);
  });

  it("tells messages apart by everything that is handed back", () => {
    const body = encoder.encode("yes");
    const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
    const contents = [
      { type: "", body },
      { type: "text/plain", body },
      { type: "", body, key: encoder.encode("order-7") },
      { type: "", body, traceparent },
      { type: "", body: encoder.encode("yes!") },
      { type: "yes", body: encoder.encode("") },
    ];
    const digests = contents.map(digestOf);
    expect(new Set(digests).size).toBe(contents.length);
    expect(digests.every((digest) => /^[\da-f]{32}$/.test(digest))).toBe(true);
    expect(digestOf({ type: "", body: encoder.encode("yes"), key: undefined, traceparent: undefined })).toBe(digests[0]);
  });
});

interface Break {
  readonly name: string;
  readonly error: RegExp;
  /** Which line is named; undefined: none. */
  readonly line?: number;
  texts(record: Tampered): readonly string[];
}

const LAST = recordOf(makeRun(40)).length;

const BREAKS: readonly Break[] = [
  { name: "is empty", error: /^the record is empty$/, texts: () => [] },
  { name: "has empty lines only", error: /^the record is empty$/, texts: () => ["", ""] },
  {
    name: "holds no sends",
    error: /^the record holds no sends: there is nothing to check$/,
    line: 2,
    texts: (record) => [record.texts()[0] as string, formatRecordLine({ t: "end", lines: 1, atMs: 0 })],
  },
  {
    name: "does not begin with its header",
    error: /^the record does not begin with its header$/,
    line: 1,
    texts: (record) => record.texts().slice(1),
  },
  {
    name: "begins with a broken header",
    error: /^"version" of the line is not an integer from 1$/,
    line: 1,
    texts: (record) => [(record.texts()[0] as string).replace(`"version":1`, `"version":0`), ...record.texts().slice(1)],
  },
  {
    name: "was cut off between two lines",
    error: /^the record has no end: it was cut off$/,
    line: LAST - 1,
    texts: (record) => record.texts().slice(0, -1),
  },
  {
    name: "was cut off inside a line",
    error: /^the line is not JSON$/,
    line: LAST - 1,
    texts: (record) =>
      record
        .texts()
        .slice(0, -1)
        .map((text, at) => (at === LAST - 2 ? text.slice(0, 40) : text)),
  },
  {
    name: "lacks a line",
    error: /^the record had \d+ lines before its end and has \d+: it was changed$/,
    line: LAST - 1,
    texts: (record) => {
      const at = record.numberOf(record.last("delivery")) - 1;
      return record.texts().toSpliced(at, 1);
    },
  },
  {
    name: "goes on after its end",
    error: /^something follows the end of the record$/,
    line: LAST + 1,
    texts: (record) => [...record.texts(), record.texts().at(-2) as string],
  },
  {
    name: "has a second header",
    error: /^a second header$/,
    line: 5,
    texts: (record) => {
      record.replace(record.lineAt(5), record.one("header"));
      return record.texts();
    },
  },
  {
    name: "lacks a send",
    error: /^send 2 of \S+ in \S+ follows 0: lines are missing or doubled$/,
    texts: (record) => {
      record.remove([record.one("send")]);
      return record.texts();
    },
  },
  {
    name: "has an outcome of no send",
    error: /^the outcome of send 99 of \S+ in \S+ stands without its send$/,
    texts: (record) => {
      record.change(record.last("outcome"), { n: 99 });
      return record.texts();
    },
  },
  {
    name: "has a reader that did not say where it starts",
    error: /^reader us-east\/1 has not said where it starts in standup$/,
    texts: (record) => {
      record.remove([record.one("position", ({ reader, conversation }) => reader === "us-east/1" && conversation === "standup")]);
      return record.texts();
    },
  },
  {
    name: "has a reader in two regions",
    error: /^reader us-east\/1 of us-east stands for eu-west too$/,
    texts: (record) => {
      record.change(
        record.last("delivery", ({ reader }) => reader === "us-east/1"),
        { region: "eu-west" },
      );
      return record.texts();
    },
  },
  {
    name: "names a region that the header does not",
    error: /^the header does not name the region mars$/,
    texts: (record) => {
      record.change(record.one("head"), { region: "mars" });
      return record.texts();
    },
  },
  {
    name: "names a conversation that the header does not",
    error: /^the header does not name the conversation "lunch"$/,
    texts: (record) => {
      record.change(record.one("head"), { conversation: "lunch" });
      return record.texts();
    },
  },
  {
    name: "names epochs of a conversation that the header does not",
    error: /^the header does not name the conversation "lunch"$/,
    texts: (record) => {
      record.change(record.one("fault"), { epochs: [{ conversation: "lunch", before: "1", after: "2" }] });
      return record.texts();
    },
  },
];

describe("a record that is not whole", () => {
  it.each(BREAKS)("is broken and checked no further when it $name", async ({ error, line, texts }) => {
    const verdict = await verifyRecord(texts(new Tampered(recordOf(makeRun(40)))));
    expect(verdict.status).toBe("broken");
    expect(exitCodeOf(verdict)).toBe(2);
    const found = verdict.errors.find(({ sentence }) => error.test(sentence));
    expect(found, verdict.errors.map(({ sentence }) => sentence).join("\n")).toBeDefined();
    if (line !== undefined) expect(found?.lines).toContain(line);
    expect(verdict.checks).toEqual([]);
  });

  it("without a header is not read on: every line would be one more error", async () => {
    const { errors } = await verifyRecord(recordOf(makeRun(40)).slice(1).map(formatRecordLine));
    expect(errors).toHaveLength(1);
  });
});
