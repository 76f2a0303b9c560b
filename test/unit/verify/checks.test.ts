import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf, formatRecordLine } from "../../../src/verify/record.ts";
import { type Verdict, verifyRecord } from "../../../src/verify/verdict.ts";
import { interleaved, makeRun, recordOf } from "./run.ts";
import { isOf, Tampered } from "./tampered.ts";
import { fillVoids, TAMPERINGS } from "./tamperings.ts";

const run = makeRun(120);
const YES = digestOf({ type: "text/plain", body: new TextEncoder().encode("yes") });

const DENOMINATORS = {
  G1: { seqs: 108, voids: 5, walks: 8, heads: 6, epochs: 4 },
  G2: { committed: 100, deliveries: 309, regions: 3 },
  G3: { sends: 124, alike: 22, messages: 103 },
  G4: { deliveries: 403, readers: 4 },
  G5: { ids: 103, conversations: 2 },
  G6: { sends: 124, committed: 100, rejected: 5, expired: 5, unknown: 14, resolved: 4 },
  G7: { producers: 6, compared: 87 },
  G8: { committed: 100, compared: 88 },
};

function denominatorsOf({ checks }: Verdict): object {
  return Object.fromEntries(checks.map(({ guarantee, denominators }) => [guarantee, denominators]));
}

function brokenIn({ checks }: Verdict): string[] {
  return checks.filter(({ violationCount }) => violationCount > 0).map(({ guarantee }) => guarantee);
}

describe("the checks of a record", () => {
  it("hold for a run that kept every guarantee, and say over how much", async () => {
    const verdict = await verifyRecord(recordOf(run).map(formatRecordLine));
    expect(verdict.errors).toEqual([]);
    expect(brokenIn(verdict)).toEqual([]);
    expect(verdict.status).toBe("holds");
    expect(denominatorsOf(verdict)).toEqual(DENOMINATORS);
    expect(verdict.checks.map(({ status }) => status)).toEqual(Array(8).fill("holds"));
  });

  it("say the same however the lines of different actors are interleaved", async () => {
    const choices = fc.array(fc.nat(), { minLength: 50, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(choices, async (picks) => {
        const lines = interleaved(run, (round, actors) => (picks[round % picks.length] as number) % actors);
        const verdict = await verifyRecord(lines.map(formatRecordLine));
        expect([...verdict.errors, ...verdict.checks.flatMap(({ violations }) => violations)]).toEqual([]);
        expect(denominatorsOf(verdict)).toEqual(DENOMINATORS);
      }),
      { numRuns: 40 },
    );
  });

  it.each(TAMPERINGS)("find it when a record is tampered with at one place. $name", async ({ breaks, sentence, tamper }) => {
    const record = new Tampered(recordOf(run));
    const named = tamper(record);
    const texts = record.texts();
    const verdict = await verifyRecord(texts);
    expect(verdict.errors).toEqual([]);
    expect(brokenIn(verdict)).toEqual(breaks);
    expect(verdict.status).toBe("violated");

    const violations = verdict.checks.flatMap((check) => check.violations);
    const found = violations.find((violation) => sentence.test(violation.sentence));
    expect(found, violations.map((violation) => violation.sentence).join("\n")).toBeDefined();
    expect(found?.lines).toContain(record.numberOf(named));
  });

  it("have a tampered record for each guarantee", () => {
    expect([...new Set(TAMPERINGS.flatMap(({ breaks }) => breaks))].sort()).toEqual(Object.keys(DENOMINATORS));
  });

  it("take sends that look alike by their number: two may stand at two places, never at three", async () => {
    const record = new Tampered(recordOf(run));
    const isBobs = (line: { readonly digest: string; readonly sender: string; readonly conversation: string }) =>
      line.digest === YES && line.sender === "bob" && line.conversation === "standup";
    expect(record.all("send", isBobs)).toHaveLength(2);
    expect(record.all("delivery", (line) => isBobs(line) && line.reader === "us-east/1")).toHaveLength(2);
    fillVoids(record, { sender: "bob", digest: YES });
    const { checks } = await verifyRecord(record.texts());
    const once = checks.find(({ guarantee }) => guarantee === "G3");
    expect(once?.violations.map(({ sentence }) => sentence)).toEqual([
      expect.stringMatching(/^2 sends of bob stand at 3 places: standup#\d+, standup#\d+, standup#\d+$/),
    ]);
  });

  it("take sends of one key as one message: it stands once, and a repeat may have an old seq and id", async () => {
    const record = new Tampered(recordOf(run));
    const keyed = record.one("send", ({ key, conversation }) => key !== undefined && conversation === "standup");
    expect(record.all("send", ({ key }) => key === keyed.key)).toHaveLength(2);
    const outcome = record.one("outcome", (line) => isOf(line, keyed));
    expect(outcome.status).toBe("committed");
    fillVoids(record, keyed);
    const verdict = await verifyRecord(record.texts());
    expect(brokenIn(verdict)).toEqual(["G3"]);
  });

  it.each([
    { kind: "kill", back: "restore" },
    { kind: "partition", back: "heal" },
  ] as const)("ask nothing in the end of a region after a $kind, until it is back by a $back", async ({ kind, back }) => {
    const record = new Tampered(recordOf(run));
    const [lost, restored] = record.all("fault");
    record.change(record.one("fault"), { kind });
    record.change(record.last("fault"), { kind: back });
    const ofLost = ({ reader, seq }: { readonly reader: string; readonly seq: number }) => reader === "us-east/1" && seq > 20;
    const late = [...record.all("delivery", ofLost), ...record.all("position", ofLost)];
    const voids = record.all("void", ({ reader, first }) => reader === "us-east/1" && first > 20);
    record.remove([...late, ...voids]);
    expect(brokenIn(await verifyRecord(record.texts()))).toEqual(["G2"]);

    expect([lost?.region, restored?.region]).toEqual(["us-east", "us-east"]);
    record.remove([record.last("fault")]);
    const verdict = await verifyRecord(record.texts());
    expect(verdict.status).toBe("holds");
    expect(verdict.checks.find(({ guarantee }) => guarantee === "G2")?.denominators.regions).toBe(2);
  });

  it("say what a record does not put to the test", async () => {
    const record = new Tampered(recordOf(makeRun(1)));
    const { status, checks } = await verifyRecord(record.texts());
    expect(status).toBe("holds");
    expect(checks.filter((check) => check.status === "untested").map(({ guarantee }) => guarantee)).toEqual(["G7", "G8"]);
  });

  it("count all violations and keep a thousand of each guarantee", async () => {
    const long = new Tampered(recordOf(makeRun(1_400)));
    for (const line of long.all("outcome", ({ status }) => status === "committed")) long.remove([line]);
    const { checks } = await verifyRecord(long.texts());
    const ends = checks.find(({ guarantee }) => guarantee === "G6");
    expect(ends?.violations).toHaveLength(1_000);
    expect(ends?.violationCount).toBeGreaterThan(1_100);
  });
});
