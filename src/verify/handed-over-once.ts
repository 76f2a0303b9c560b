import type { Check } from "./check.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import type { RecordLine } from "./record.ts";
import type { Walk } from "./walk.ts";

/** G4: a reader was handed each seq once, in growing order. */
export class HandedOverOnce implements Check {
  readonly guarantee = "G4";
  readonly title = "every message was handed over once, in order";
  readonly over = "deliveries";
  readonly findings = new Findings();
  #deliveries = 0;

  see(lineNumber: number, line: RecordLine, history: History): void {
    if (line.t !== "delivery" && line.t !== "void" && line.t !== "position") return;
    if (line.t === "delivery") this.#deliveries += 1;
    const walk = history.conversation(line.conversation).walks.get(line.reader);
    if (walk === undefined) return;
    if (line.t === "position") {
      if (line.seq < walk.seq) this.#add(lineNumber, walk, `went back from ${line.conversation}#${walk.seq} to #${line.seq}`);
      return;
    }
    const seq = line.t === "delivery" ? line.seq : line.first;
    const place = `${line.conversation}#${seq}`;
    const what = line.t === "delivery" ? `was handed ${place}` : `passed over ${place}`;
    const step = walk.judge(seq);
    if (step === "again") this.#add(lineNumber, walk, `${what} after it had come to #${walk.seq}: a second time`);
    if (step === "late") this.#add(lineNumber, walk, `${what} after it had come to #${walk.seq}: out of order`);
  }

  finish(history: History) {
    const readers = new Set([...history.conversations.values()].flatMap(({ walks }) => [...walks.keys()]));
    return { deliveries: this.#deliveries, readers: readers.size };
  }

  #add(lineNumber: number, { reader, region, line }: Walk, what: string): void {
    this.findings.add([line, lineNumber], `reader ${reader} of ${region} ${what}`);
  }
}
