import type { Finding, Findings } from "./findings.ts";
import type { History } from "./history.ts";
import type { RecordLine } from "./record.ts";

export type Guarantee = "G1" | "G2" | "G3" | "G4" | "G5" | "G6" | "G7" | "G8";

/** What was counted, by a plural such as "sends". */
export type Counts = Readonly<Record<string, number>>;

/** A check of one guarantee. It sees every line once, in the order of the record, and then the whole history. */
export interface Check {
  readonly guarantee: Guarantee;
  /** What is checked, in a few words. */
  readonly title: string;
  /** The count that says over how much the check was made: where it is 0, nothing was shown. */
  readonly over: string;
  readonly findings: Findings;
  /** Called before `history` takes the line. */
  see?(lineNumber: number, line: RecordLine, history: History): void;
  /** Called once, after the last line. */
  finish(history: History): Counts;
}

export interface CheckResult {
  readonly guarantee: Guarantee;
  readonly check: string;
  /** "untested": the record holds nothing that could have broken the guarantee. */
  readonly status: "holds" | "broken" | "untested";
  readonly denominators: Counts;
  /** Up to 1,000 of the violations; empty if the guarantee holds. */
  readonly violations: readonly Finding[];
  /** All of them. */
  readonly violationCount: number;
}
