import {
  type DeliveryLine,
  formatRecordLine,
  type OutcomeLine,
  type RecordLine,
  type SendLine,
} from "../../../src/verify/record.ts";

type Kind<T extends RecordLine["t"]> = Extract<RecordLine, { readonly t: T }>;
type Changes<T extends RecordLine> = { -readonly [K in keyof T]?: T[K] };
type Committed = Extract<OutcomeLine, { readonly status: "committed" }>;

/** A send and its outcome. */
export interface Acked {
  readonly send: SendLine;
  readonly outcome: Committed;
}

/** A record in somebody's hands: its lines can be found, changed, left out and added. */
export class Tampered {
  #lines: RecordLine[];

  constructor(lines: readonly RecordLine[]) {
    this.#lines = lines.map((line) => ({ ...line }));
  }

  /** The record's text, with an end that fits. */
  texts(): string[] {
    return this.#lines.map((line, at) => formatRecordLine(line.t === "end" ? { ...line, lines: at } : line));
  }

  lineAt(number: number): RecordLine {
    return found(this.#lines[number - 1]);
  }

  numberOf(line: RecordLine): number {
    return this.#lines.indexOf(line) + 1;
  }

  all<T extends RecordLine["t"]>(t: T, matches: (line: Kind<T>) => boolean = () => true): Kind<T>[] {
    return this.#lines.filter((line): line is Kind<T> => line.t === t && matches(line as Kind<T>));
  }

  one<T extends RecordLine["t"]>(t: T, matches: (line: Kind<T>) => boolean = () => true): Kind<T> {
    return found(this.all(t, matches)[0]);
  }

  last<T extends RecordLine["t"]>(t: T, matches: (line: Kind<T>) => boolean = () => true): Kind<T> {
    return found(this.all(t, matches).at(-1));
  }

  change<T extends RecordLine>(line: T, changes: Changes<T>): T {
    return Object.assign(line, changes);
  }

  replace(line: RecordLine, by: RecordLine): RecordLine {
    this.#lines[this.#lines.indexOf(line)] = by;
    return by;
  }

  remove(lines: readonly RecordLine[]): void {
    this.#lines = this.#lines.filter((line) => !lines.includes(line));
  }

  addAfter(line: RecordLine, added: RecordLine): RecordLine {
    this.#lines.splice(this.#lines.indexOf(line) + 1, 0, added);
    return added;
  }

  exchange(one: RecordLine, other: RecordLine): RecordLine {
    const [i, j] = [this.#lines.indexOf(one), this.#lines.indexOf(other)];
    this.#lines[i] = other;
    this.#lines[j] = one;
    return one;
  }

  /** The sends that were acknowledged at once and that no other looks like, in the order of their lines. */
  acked(matches: (acked: Acked) => boolean = () => true): Acked[] {
    const sends = this.all("send");
    const isDistinct = (send: SendLine) =>
      sends.filter(({ digest, sender }) => digest === send.digest && sender === send.sender).length === 1;
    return sends.filter(isDistinct).flatMap((send) => {
      const [outcome, ...later] = this.all("outcome", (line) => isOf(line, send));
      const isAcked = outcome?.status === "committed" && later.length === 0;
      return isAcked && matches({ send, outcome }) ? [{ send, outcome }] : [];
    });
  }

  firstAcked(matches: (acked: Acked) => boolean): Acked {
    return found(this.acked(matches)[0]);
  }

  lastAcked(matches: (acked: Acked) => boolean): Acked {
    return found(this.acked(matches).at(-1));
  }

  /** An acknowledged send in the middle of standup. */
  someAcked(): Acked {
    return this.firstAcked(({ send, outcome }) => send.conversation === "standup" && outcome.seq > 20);
  }

  /** Two neighbours of one producer in one conversation whose client had seen nothing, as far as they say. */
  neighbours(): readonly [Acked, Acked] {
    const acked = this.acked(({ send }) => send.seenId === "0");
    for (const one of acked) {
      const other = acked.find(
        ({ send, outcome }) =>
          send.producer === one.send.producer &&
          send.conversation === one.send.conversation &&
          outcome.seq === one.outcome.seq + 1,
      );
      if (other !== undefined) return [one, other];
    }
    throw new Error("the record has no neighbours");
  }

  firstHanded(conversation: string, seq: number): DeliveryLine {
    return found(this.handed(conversation, seq)[0]);
  }

  /** What readers were handed at a place. */
  handed(conversation: string, seq: number): DeliveryLine[] {
    return this.all("delivery", (line) => line.conversation === conversation && line.seq === seq);
  }
}

function found<T>(line: T | undefined): T {
  if (line === undefined) throw new Error("the record holds no such line");
  return line;
}

export function isOf(outcome: OutcomeLine, send: SendLine): boolean {
  return outcome.producer === send.producer && outcome.conversation === send.conversation && outcome.n === send.n;
}
