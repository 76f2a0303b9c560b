import type { CheckResult } from "../src/verify/check.ts";
import { Verification } from "../src/verify/checks.ts";
import { RECORD_VERSION, type RecordLine } from "../src/verify/record.ts";
import type { Trace } from "./trace.ts";

/** Hands the record of a history, line by line, to the checks that judge real runs too, and to the trace in words. */
export class Recorder {
  readonly #verification: Verification;
  readonly #trace: Trace;
  #lines = 1;

  constructor(trace: Trace, regions: readonly string[], conversations: readonly string[]) {
    this.#trace = trace;
    this.#verification = new Verification({
      t: "header",
      version: RECORD_VERSION,
      about: "a simulated history",
      startedAtMs: 0,
      regions,
      conversations,
    });
  }

  take(line: RecordLine, words: string): void {
    this.#lines += 1;
    this.#trace.say(words);
    const objection = this.#verification.take(this.#lines, line);
    if (objection !== undefined) throw new Error(`the record is wrong: ${objection}`);
  }

  finish(): readonly CheckResult[] {
    return this.#verification.finish();
  }
}
