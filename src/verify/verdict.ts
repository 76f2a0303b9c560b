import type { CheckResult } from "./check.ts";
import { Verification } from "./checks.ts";
import { type Finding, Findings } from "./findings.ts";
import { type ParsedLine, parseRecord } from "./parse.ts";
import type { EndLine, HeaderLine, RecordLine } from "./record.ts";

/** What a record shows. */
export interface Verdict {
  /** "broken": the record is empty, cut off or not well formed, and proves nothing. */
  readonly status: "holds" | "violated" | "broken";
  /** Undefined if the record has none that can be read. */
  readonly header: HeaderLine | undefined;
  /** How many lines there are of each kind. */
  readonly lines: Readonly<Partial<Record<RecordLine["t"], number>>>;
  /** What is wrong with the record itself; up to 1,000. */
  readonly errors: readonly Finding[];
  readonly errorCount: number;
  /** One for each guarantee from G1 to G8; none for a broken record: what looks like a loss may be a lost line. */
  readonly checks: readonly CheckResult[];
}

/** Reads a record and checks all of it, in time and memory that grow with its length. */
export async function verifyRecord(lines: AsyncIterable<string> | Iterable<string>): Promise<Verdict> {
  const reading = new Reading();
  for await (const parsed of parseRecord(lines)) {
    reading.take(parsed);
    // Without a header no line can be judged, and each would be one more error.
    if (!reading.hasHeader) break;
  }
  return reading.finish();
}

/** A record from its header to its end, and what is wrong with its form. */
class Reading {
  readonly #errors = new Findings();
  readonly #counts: Partial<Record<RecordLine["t"], number>> = {};
  #header: HeaderLine | undefined;
  #verification: Verification | undefined;
  #read = 0;
  #lastLine = 0;
  #endLine: number | undefined;

  get hasHeader(): boolean {
    return this.#header !== undefined;
  }

  take(parsed: ParsedLine): void {
    const { line } = parsed;
    this.#read += 1;
    this.#lastLine = line;
    if (this.#endLine !== undefined) this.#errors.add([this.#endLine, line], "something follows the end of the record");
    const error = "error" in parsed ? parsed.error : this.#takeFacts(line, parsed.facts);
    if (error !== undefined) this.#errors.add([line], error);
  }

  finish(): Verdict {
    const missing = this.#missing();
    if (missing !== undefined) this.#errors.add(this.#read === 0 ? [] : [this.#lastLine], missing);
    const isBroken = this.#errors.count > 0;
    const checks = isBroken ? [] : (this.#verification?.finish() ?? []);
    const isViolated = checks.some(({ violationCount }) => violationCount > 0);
    return {
      status: isBroken ? "broken" : isViolated ? "violated" : "holds",
      header: this.#header,
      lines: this.#counts,
      errors: this.#errors.kept,
      errorCount: this.#errors.count,
      checks,
    };
  }

  #takeFacts(line: number, facts: RecordLine): string | undefined {
    this.#counts[facts.t] = (this.#counts[facts.t] ?? 0) + 1;
    if (facts.t === "end") return this.#takeEnd(line, facts);
    if (this.#verification !== undefined) return this.#verification.take(line, facts);
    if (facts.t !== "header") return "the record does not begin with its header";
    this.#header = facts;
    this.#verification = new Verification(facts);
    return undefined;
  }

  #takeEnd(line: number, { lines }: EndLine): string | undefined {
    this.#endLine = line;
    const before = this.#read - 1;
    return lines === before ? undefined : `the record had ${lines} lines before its end and has ${before}: it was changed`;
  }

  /** What a whole record would have. */
  #missing(): string | undefined {
    if (this.#read === 0) return "the record is empty";
    if (this.#header === undefined) return undefined;
    if (this.#endLine === undefined) return "the record has no end: it was cut off";
    return this.#counts.send === undefined ? "the record holds no sends: there is nothing to check" : undefined;
  }
}
