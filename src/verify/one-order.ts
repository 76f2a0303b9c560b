import type { Check } from "./check.ts";
import { isSame } from "./conversation.ts";
import { compareDecimals } from "./fields.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import type { DeliveryLine, FaultLine, HeadLine, PositionLine, RecordLine, VoidLine } from "./record.ts";

/**
 * G1: each seq has one content, or is a void, for all readers in all regions; no reader misses one on its way; where two
 * heads are at the same seq, their hashes name the same log; and the epochs that order the leaders never fall.
 */
export class OneOrder implements Check {
  readonly guarantee = "G1";
  readonly title = "one order, the same for all readers";
  readonly over = "seqs";
  readonly findings = new Findings();
  readonly #heads = new Map<string, { readonly line: number; readonly head: HeadLine }>();
  readonly #epochs = new Map<string, { readonly line: number; readonly epoch: string }>();
  #headCount = 0;
  #epochCount = 0;

  see(lineNumber: number, line: RecordLine, history: History): void {
    if (line.t === "delivery") this.#delivery(lineNumber, line, history);
    if (line.t === "void") this.#void(lineNumber, line, history);
    if (line.t === "position") this.#position(lineNumber, line, history);
    if (line.t === "head") this.#head(lineNumber, line);
    if (line.t === "fault") this.#fault(lineNumber, line);
  }

  finish(history: History) {
    let seqs = 0;
    let voids = 0;
    let walks = 0;
    for (const { name, places, walks: all } of history.conversations.values()) {
      seqs += places.size;
      for (const { voidLine } of places.values()) if (voidLine !== undefined) voids += 1;
      walks += all.size;
      for (const { reader, region, gaps } of all.values()) {
        for (const { first, last, lines } of gaps) {
          const missing = first === last ? `${name}#${first}` : `${name}#${first} to #${last}`;
          this.findings.add(lines, `reader ${reader} of ${region} was handed #${last + 1} but never ${missing}`);
        }
      }
    }
    return { seqs, voids, walks, heads: this.#headCount, epochs: this.#epochCount };
  }

  #delivery(lineNumber: number, line: DeliveryLine, history: History): void {
    const { conversation, seq, reader, region } = line;
    const place = history.conversation(conversation).places.get(seq);
    const [version] = place?.versions ?? [];
    if (version !== undefined && !isSame(version, line)) {
      const told = `${contentOf(version)}, but reader ${reader} of ${region} was handed ${contentOf(line)}`;
      this.findings.add([version.line, lineNumber], `${conversation}#${seq} is ${told}`);
    }
    if (place?.voidLine === undefined) return;
    const told = `a void to one reader, but reader ${reader} of ${region} was handed ${contentOf(line)}`;
    this.findings.add([place.voidLine, lineNumber], `${conversation}#${seq} is ${told}`);
  }

  #void(lineNumber: number, { conversation, first, last, reader, region }: VoidLine, history: History): void {
    const { places } = history.conversation(conversation);
    for (let seq = first; seq <= last; seq += 1) {
      const [version] = places.get(seq)?.versions ?? [];
      if (version === undefined) continue;
      const told = `${contentOf(version)}, but a void to reader ${reader} of ${region}`;
      this.findings.add([version.line, lineNumber], `${conversation}#${seq} is ${told}`);
    }
  }

  #position(lineNumber: number, { conversation, seq, reader, region }: PositionLine, history: History): void {
    const walk = history.conversation(conversation).walks.get(reader);
    if (walk === undefined || seq <= walk.seq) return;
    const told = `says that it has come to ${conversation}#${seq}, but was handed nothing after #${walk.seq}`;
    this.findings.add([walk.line, lineNumber], `reader ${reader} of ${region} ${told}`);
  }

  #head(line: number, head: HeadLine): void {
    this.#headCount += 1;
    const place = `${head.conversation}#${head.seq}`;
    const known = this.#heads.get(place);
    if (known === undefined) this.#heads.set(place, { line, head });
    else if (known.head.hash !== head.hash) {
      const told = `up to ${place} has the hash ${known.head.hash} in ${known.head.region}, but ${head.hash} in ${head.region}`;
      this.findings.add([known.line, line], `the log ${told}`);
    }
  }

  #fault(line: number, { epochs }: FaultLine): void {
    for (const { conversation, before, after } of epochs) {
      this.#epoch(line, conversation, before);
      this.#epoch(line, conversation, after);
    }
  }

  #epoch(line: number, conversation: string, epoch: string): void {
    this.#epochCount += 1;
    const known = this.#epochs.get(conversation);
    if (known !== undefined && compareDecimals(epoch, known.epoch) < 0) {
      this.findings.add([known.line, line], `the epoch of ${conversation} fell from ${known.epoch} to ${epoch}`);
    } else {
      this.#epochs.set(conversation, { line, epoch });
    }
  }
}

function contentOf({ id, sender, digest }: { readonly id: string; readonly sender: string; readonly digest: string }): string {
  return `id ${id} of ${sender} with digest ${digest.slice(0, 8)}…`;
}
