import { type Finding, table } from "../bench/report.ts";
import type { CheckResult, Guarantee } from "../src/verify/check.ts";
import { report as verdictLines } from "../src/verify/report.ts";
import type { Befallen, ChaosReport } from "./run.ts";

/** The figures that a reader looks for first. */
export interface Summary {
  readonly tookMs: number;
  readonly acknowledged: number;
  readonly perSecond: number;
  readonly delivered: number;
  readonly readers: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly diverged: number;
  readonly expired: number;
  readonly rejected: number;
  readonly longestStallMs: number;
  /** Why the run does not count as passed. */
  readonly problems: readonly string[];
}

export function summaryOf(chaos: ChaosReport): Summary {
  const { verdict, counts, tookMs, readers, befallen, behind, figures = [] } = chaos;
  const violations = (...guarantees: Guarantee[]) =>
    verdict.checks
      .filter(({ guarantee }) => guarantees.includes(guarantee))
      .reduce((sum, { violationCount }) => sum + violationCount, 0);
  return {
    tookMs,
    acknowledged: counts.committed,
    perSecond: Math.round((counts.committed * 1_000) / tookMs),
    delivered: verdict.lines.delivery ?? 0,
    readers,
    lost: violations("G2"),
    duplicated: violations("G3", "G4"),
    reordered: violations("G7", "G8"),
    diverged: violations("G1", "G5"),
    expired: counts.expired,
    rejected: counts.rejected,
    longestStallMs: Math.max(
      0,
      ...befallen.map(({ longestStallMs, mendingStallMs = 0 }) => Math.max(longestStallMs, mendingStallMs)),
    ),
    problems: [...problemsOf(chaos), ...missedBy(figures), ...behind],
  };
}

function problemsOf({ befallen, verdict }: ChaosReport): readonly string[] {
  const problems = befallen.flatMap(({ names, effects, longestStallMs, stallBoundMs }) => {
    const about = names.join(" + ");
    const own = effects.flatMap((effect) => effect.problems.map((problem) => `${about}: ${problem}`));
    if (stallBoundMs !== undefined && longestStallMs > stallBoundMs)
      own.push(`${about}: a stall of ${seconds(longestStallMs)}, bound ${seconds(stallBoundMs)}`);
    return own;
  });
  const broken = verdict.checks.filter(({ status }) => status === "broken").map(({ guarantee }) => `${guarantee} is broken`);
  return [...problems, ...broken, ...(verdict.status === "broken" ? ["the record is broken"] : [])];
}

function missedBy(figures: readonly Finding[]): readonly string[] {
  return figures.flatMap((figure) => (figure.kind === "fact" || figure.isMet ? [] : [`missed: ${figure.title}`]));
}

/** For people. */
export function markdown(chaos: ChaosReport): string {
  const summary = summaryOf(chaos);
  return [
    `# Chaos: ${seconds(summary.tookMs)}, ${chaos.befallen.length} rounds of faults`,
    "",
    "| acknowledged | a second | delivered | readers | lost | duplicated | reordered | diverged | expired | longest stall |",
    "|---|---|---|---|---|---|---|---|---|---|",
    row([
      whole(summary.acknowledged),
      whole(summary.perSecond),
      whole(summary.delivered),
      whole(summary.readers),
      whole(summary.lost),
      whole(summary.duplicated),
      whole(summary.reordered),
      whole(summary.diverged),
      whole(summary.expired),
      seconds(summary.longestStallMs),
    ]),
    "",
    "| at | fault | what shows its effect | longest stall | bound | while mended |",
    "|---|---|---|---|---|---|",
    ...chaos.befallen.map(befallenRow),
    "",
    "```",
    ...[...verdictLines(chaos.verdict)].map(({ human }) => human),
    "```",
    ...(chaos.figures === undefined ? [] : ["", "```", table(chaos.figures), "```"]),
    ...(summary.problems.length === 0 ? [] : ["", ...summary.problems.map((problem) => `- ${problem}`)]),
    "",
  ].join("\n");
}

/** For machines. */
export function facts(chaos: ChaosReport): object {
  const checks = chaos.verdict.checks.map(({ guarantee, check, status, denominators, violationCount }: CheckResult) => ({
    guarantee,
    check,
    status,
    denominators,
    violationCount,
  }));
  return { summary: summaryOf(chaos), befallen: chaos.befallen, checks, figures: chaos.figures };
}

function befallenRow({ names, atMs, effects, longestStallMs, stallBoundMs, mendingStallMs }: Befallen): string {
  const signs = effects.map(({ what, signs, problems }) => `${what}: ${[...signs, ...problems].join(", ")}`).join("; ");
  const times = [longestStallMs, stallBoundMs, mendingStallMs].map((ms) => (ms === undefined ? "" : seconds(ms)));
  return row([seconds(atMs), names.join(" + "), signs, ...times]);
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function whole(count: number): string {
  return count.toLocaleString("en-US");
}
