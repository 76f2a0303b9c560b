import type { CheckResult, Counts } from "./check.ts";
import type { Finding } from "./findings.ts";
import type { HeaderLine } from "./record.ts";
import type { Verdict } from "./verdict.ts";

/** One line of a report: for people, and the same as facts for machines. */
export interface ReportLine {
  readonly human: string;
  readonly facts: object;
}

/** What a verdict means to a script: 0 all holds, 1 a guarantee was broken, 2 the record is empty or broken. */
export function exitCodeOf({ status }: Verdict): 0 | 1 | 2 {
  return ({ holds: 0, violated: 1, broken: 2 } as const)[status];
}

/** The verdict line by line: what was recorded, what is wrong with the record, each check with its violations, and the end. */
export function* report(verdict: Verdict): Generator<ReportLine, void, undefined> {
  const { header, errors, errorCount, checks } = verdict;
  if (header !== undefined) yield summary(header, verdict);
  for (const error of errors) yield { human: `  ${located(error)}`, facts: { report: "error", ...error } };
  if (errorCount > errors.length) yield more(errorCount - errors.length, { report: "error" });
  for (const result of checks) yield* checkLines(result);
  yield conclusion(verdict);
}

function summary({ about, regions, conversations }: HeaderLine, { lines, checks }: Verdict): ReportLine {
  const ends = checks.find(({ guarantee }) => guarantee === "G6")?.denominators;
  const done = {
    sends: lines.send ?? 0,
    ...(ends === undefined ? {} : { committed: ends.committed ?? 0 }),
    deliveries: lines.delivery ?? 0,
  };
  const where = { regions: regions.length, conversations: conversations.length, faults: lines.fault ?? 0 };
  return {
    human: `${about}: ${counted(done)} in ${counted(where)}`,
    facts: { report: "record", about, ...done, ...where },
  };
}

function* checkLines(result: CheckResult): Generator<ReportLine, void, undefined> {
  const { guarantee, check, status, denominators, violations, violationCount } = result;
  const facts = { report: "check", guarantee, check, status, denominators, violationCount };
  yield { human: `${guarantee} ${verb(result)}: ${check} (${counted(denominators)})`, facts };
  for (const violation of violations) {
    yield { human: `  ${located(violation)}`, facts: { report: "violation", guarantee, ...violation } };
  }
  if (violationCount > violations.length) yield more(violationCount - violations.length, { report: "violation", guarantee });
}

function verb({ status, violationCount }: CheckResult): string {
  if (status === "holds") return "holds";
  return status === "untested"
    ? "was not put to the test"
    : `IS BROKEN ${violationCount === 1 ? "once" : `${amount(violationCount)} times`}`;
}

function more(count: number, facts: object): ReportLine {
  return { human: `  and ${amount(count)} more`, facts: { ...facts, more: count } };
}

function conclusion(verdict: Verdict): ReportLine {
  const broken = verdict.checks.filter(({ status }) => status === "broken").map(({ guarantee }) => guarantee);
  const facts = { report: "verdict", status: verdict.status, broken, exitCode: exitCodeOf(verdict) };
  return { human: conclusionText(verdict, broken), facts };
}

function conclusionText({ status, errorCount, checks }: Verdict, broken: readonly string[]): string {
  if (status === "violated") return `violated: ${broken.join(", ")}`;
  if (status === "broken") {
    return `the record is broken and proves nothing: ${counted({ errors: errorCount })}`;
  }
  const held = checks.filter((check) => check.status === "holds").map(({ guarantee }) => guarantee);
  return held.length === checks.length ? "all of these guarantees hold in this record" : `${held.join(", ")} hold in this record`;
}

function located({ lines, sentence }: Finding): string {
  if (lines.length === 0) return sentence;
  return `${lines.length === 1 ? "line" : "lines"} ${lines.join(", ")}: ${sentence}`;
}

/** `{ sends: 1, deliveries: 3000 }` as "1 send, 3,000 deliveries". */
function counted(counts: Counts): string {
  return Object.entries(counts)
    .map(([plural, count]) => `${amount(count)} ${count === 1 ? singular(plural) : plural}`)
    .join(", ");
}

function singular(plural: string): string {
  return plural.endsWith("ies") ? `${plural.slice(0, -3)}y` : plural.replace(/s$/, "");
}

function amount(count: number): string {
  return count.toLocaleString("en-US");
}
