/** What was found, for people. The figures are those of one run: compare them with each other only. */
import type { Delays, Rates } from "./contest.ts";

/** A figure that stands for itself. */
export interface Fact {
  readonly kind: "fact";
  readonly title: string;
  readonly value: string;
}

export type Finding = Rates | Delays | Fact;

export function table(findings: readonly Finding[]): string {
  return findings.map(block).join("\n\n");
}

function block(finding: Finding): string {
  if (finding.kind === "fact") return `${finding.title}: ${finding.value}`;
  return [finding.title, ...(finding.kind === "rates" ? rates(finding) : delays(finding))].join("\n  ");
}

function rates({ subject, bare, rounds, ratio, wanted, isMet }: Rates): readonly string[] {
  const of = (name: string, values: readonly number[]) => `${name}: ${values.map(whole).join(", ")} messages a second`;
  const range = `${ratio.median.toFixed(2)} (${ratio.least.toFixed(2)} to ${ratio.most.toFixed(2)}, ${rounds.length} rounds)`;
  const verdict = wanted === undefined ? "" : `; wanted ${wanted} or more: ${isMet ? "met" : "MISSED"}`;
  const values = (role: "subject" | "bare") => rounds.map((round) => round[role]);
  return [of(subject, values("subject")), of(bare, values("bare")), `ratio: ${range}${verdict}`];
}

function delays({ subject, bare, times, p50, p99, wantedMs, isMet }: Delays): readonly string[] {
  const of = (name: string, role: "subject" | "bare") =>
    `${name}: p50 ${milli(p50[role])}, p99 ${milli(p99[role])} ms (${times})`;
  const verdict = wantedMs === undefined ? "" : `; wanted ${wantedMs} ms or less: ${isMet ? "met" : "MISSED"}`;
  return [of(subject, "subject"), of(bare, "bare"), `p50 longer by ${milli(p50.subject - p50.bare)} ms${verdict}`];
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function milli(value: number): string {
  return value.toFixed(2);
}
