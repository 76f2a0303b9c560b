import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { formatRecordLine } from "../../../src/verify/record.ts";
import { exitCodeOf, report } from "../../../src/verify/report.ts";
import { type Verdict, verifyRecord } from "../../../src/verify/verdict.ts";
import { makeRun, recordOf } from "./run.ts";
import { Tampered } from "./tampered.ts";

const records = resolve(import.meta.dirname, "../../fixtures/records");

async function verdictOf(file: string): Promise<Verdict> {
  return verifyRecord(readFileSync(join(records, file), "utf8").split("\n"));
}

const humansOf = (verdict: Verdict) => [...report(verdict)].map(({ human }) => human);
const factsOf = (verdict: Verdict) => [...report(verdict)].map(({ facts }) => facts);

describe("the report on a record", () => {
  it("says what was recorded and over how much each guarantee holds", async () => {
    const verdict = await verdictOf("holds.jsonl");
    expect(exitCodeOf(verdict)).toBe(0);
    expect(humansOf(verdict)).toMatchInlineSnapshot(`
      [
        "a run that never was: 31 sends, 25 committed, 95 deliveries in 3 regions, 2 conversations, 2 faults",
        "G1 holds: one order, the same for all readers (27 seqs, 1 void, 8 walks, 6 heads, 4 epochs)",
        "G2 holds: what was acknowledged reached every region (25 committed, 78 deliveries, 3 regions)",
        "G3 holds: every send was accepted once at most (31 sends, 6 alike, 26 messages)",
        "G4 holds: every message was handed over once, in order (95 deliveries, 4 readers)",
        "G5 holds: ids are unique and grow with seq (26 ids, 2 conversations)",
        "G6 holds: every send has one end, and it is true (31 sends, 25 committed, 1 rejected, 1 expired, 4 unknown, 1 resolved)",
        "G7 holds: every producer's order was kept (6 producers, 16 compared)",
        "G8 holds: ids are above what their senders had seen (25 committed, 19 compared)",
        "all of these guarantees hold in this record",
      ]
    `);
  });

  it("says of each violation what happened and which lines show it", async () => {
    const verdict = await verdictOf("violated.jsonl");
    expect(exitCodeOf(verdict)).toBe(1);
    expect(humansOf(verdict).slice(1)).toMatchInlineSnapshot(`
      [
        "G1 holds: one order, the same for all readers (27 seqs, 1 void, 8 walks, 6 heads, 4 epochs)",
        "G2 holds: what was acknowledged reached every region (24 committed, 78 deliveries, 3 regions)",
        "G3 IS BROKEN once: every send was accepted once at most (31 sends, 6 alike, 26 messages)",
        "  lines 50, 165: send 7 of us-east/cyd was acknowledged at standup#40, but stands at #21",
        "G4 holds: every message was handed over once, in order (95 deliveries, 4 readers)",
        "G5 holds: ids are unique and grow with seq (26 ids, 2 conversations)",
        "G6 IS BROKEN once: every send has one end, and it is true (31 sends, 24 committed, 2 rejected, 1 expired, 4 unknown, 1 resolved)",
        "  lines 5, 32, 55: send 1 of us-east/cyd was rejected, but its content stands at standup#3",
        "G7 holds: every producer's order was kept (6 producers, 16 compared)",
        "G8 holds: ids are above what their senders had seen (24 committed, 17 compared)",
        "violated: G3, G6",
      ]
    `);
  });

  it("says that a record that was cut off proves nothing, and blames no guarantee for it", async () => {
    const verdict = await verdictOf("cut-off.jsonl");
    expect(exitCodeOf(verdict)).toBe(2);
    expect(humansOf(verdict)).toMatchInlineSnapshot(`
      [
        "a run that never was: 12 sends, 36 deliveries in 3 regions, 2 conversations, 2 faults",
        "  line 77: the line is not JSON",
        "  line 77: the record has no end: it was cut off",
        "the record is broken and proves nothing: 2 errors",
      ]
    `);
  });

  it("says that an empty record proves nothing", async () => {
    const verdict = await verdictOf("empty.jsonl");
    expect(exitCodeOf(verdict)).toBe(2);
    expect(humansOf(verdict)).toEqual(["  the record is empty", "the record is broken and proves nothing: 1 error"]);
  });

  it("says the same to machines", async () => {
    const facts = factsOf(await verdictOf("violated.jsonl"));
    expect(facts.map((fact) => JSON.parse(JSON.stringify(fact)))).toEqual(facts);
    expect(facts[0]).toMatchInlineSnapshot(`
      {
        "about": "a run that never was",
        "committed": 24,
        "conversations": 2,
        "deliveries": 95,
        "faults": 2,
        "regions": 3,
        "report": "record",
        "sends": 31,
      }
    `);
    expect(facts).toContainEqual(
      expect.objectContaining({ report: "check", guarantee: "G7", status: "holds", violationCount: 0 }),
    );
    expect(facts).toContainEqual(expect.objectContaining({ report: "violation", guarantee: "G3", lines: expect.any(Array) }));
    expect(facts.at(-1)).toEqual({ report: "verdict", status: "violated", broken: ["G3", "G6"], exitCode: 1 });
  });

  it("says how many violations and errors it leaves out", async () => {
    const long = new Tampered(recordOf(makeRun(1_400)));
    long.remove(long.all("outcome"));
    const verdict = await verifyRecord(long.texts());
    expect(humansOf(verdict)).toContain(`  and ${(verdict.lines.send ?? 0) - 1_000} more`);

    const wrong = await verifyRecord([formatRecordLine(recordOf(makeRun(1))[0] as never), ...Array(2_500).fill("{")]);
    expect(humansOf(wrong)).toContain("  and 1,501 more");
  });
});
