import { AcceptedOnce } from "./accepted-once.ts";
import { CauseBeforeEffect } from "./cause-before-effect.ts";
import type { Check, CheckResult } from "./check.ts";
import { ClearEnds } from "./clear-ends.ts";
import { Durable } from "./durable.ts";
import { HandedOverOnce } from "./handed-over-once.ts";
import { History } from "./history.ts";
import { OneOrder } from "./one-order.ts";
import type { HeaderLine, RecordLine } from "./record.ts";
import { SenderOrder } from "./sender-order.ts";
import { UniqueIds } from "./unique-ids.ts";

/** The checks of a record, line by line. For whoever makes lines without a file; `verifyRecord` reads one. */
export class Verification {
  readonly #history: History;
  readonly #checks: readonly Check[] = [
    new OneOrder(),
    new Durable(),
    new AcceptedOnce(),
    new HandedOverOnce(),
    new UniqueIds(),
    new ClearEnds(),
    new SenderOrder(),
    new CauseBeforeEffect(),
  ];

  constructor(header: HeaderLine) {
    this.#history = new History(header);
  }

  /** Answers why the line cannot stand where it stands; then it is left out. Undefined: it was taken. */
  take(lineNumber: number, line: RecordLine): string | undefined {
    const objection = this.#history.objection(line);
    if (objection !== undefined) return objection;
    for (const check of this.#checks) check.see?.(lineNumber, line, this.#history);
    this.#history.take(lineNumber, line);
    return undefined;
  }

  /** Call it once, after the last line. */
  finish(): readonly CheckResult[] {
    return this.#checks.map((check) => {
      const denominators = check.finish(this.#history);
      const { guarantee, title, findings, over } = check;
      const isUntested = denominators[over] === 0;
      const status = findings.count > 0 ? "broken" : isUntested ? "untested" : "holds";
      return { guarantee, check: title, status, denominators, violations: findings.kept, violationCount: findings.count };
    });
  }
}
