/** Seqs that a reader was not handed when it was handed a later one. */
export interface Gap {
  readonly first: number;
  readonly last: number;
  /** The lines before and behind the gap. */
  readonly lines: readonly [number, number];
}

/** What a step does to a walk: onward, back to what had been left out, or over the same seqs once more. */
export type Step = "onward" | "late" | "again";

/** One reader's way through one conversation: 1, 2, 3, …, each seq a message or a void. */
export class Walk {
  readonly reader: string;
  readonly region: string;
  /** It reads what comes after this seq. */
  readonly startSeq: number;
  #gaps: Gap[] = [];
  #seq: number;
  #line: number;

  constructor(options: { readonly reader: string; readonly region: string; readonly startSeq: number; readonly line: number }) {
    this.reader = options.reader;
    this.region = options.region;
    this.startSeq = options.startSeq;
    this.#seq = options.startSeq;
    this.#line = options.line;
  }

  /** How far it has come. */
  get seq(): number {
    return this.#seq;
  }

  /** The line that brought it there. */
  get line(): number {
    return this.#line;
  }

  /** What is left out so far. */
  get gaps(): readonly Gap[] {
    return this.#gaps;
  }

  /** The step that a line would be, without taking it. */
  judge(first: number): Step {
    if (first > this.#seq) return "onward";
    return this.#gaps.some((gap) => gap.first <= first && first <= gap.last) ? "late" : "again";
  }

  take(first: number, last: number, line: number): void {
    if (first > this.#seq + 1) this.#gaps.push({ first: this.#seq + 1, last: first - 1, lines: [this.#line, line] });
    else if (first <= this.#seq) this.#fill(first, last);
    if (last <= this.#seq) return;
    this.#seq = last;
    this.#line = line;
  }

  #fill(first: number, last: number): void {
    this.#gaps = this.#gaps.flatMap((gap) => {
      if (last < gap.first || gap.last < first) return [gap];
      const parts: readonly Gap[] = [
        { ...gap, last: first - 1 },
        { ...gap, first: last + 1 },
      ];
      return parts.filter((part) => part.first <= part.last);
    });
  }
}
