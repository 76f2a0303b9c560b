/** What breaks a guarantee, or a record: a sentence, and the lines of the record that show it, in growing order. */
export interface Finding {
  readonly lines: readonly number[];
  readonly sentence: string;
}

/** Findings that are kept as a whole; the others are counted. One fault can break every message of a long run. */
const KEPT_MAX = 1_000;

export class Findings {
  readonly #kept: Finding[] = [];
  #count = 0;

  get kept(): readonly Finding[] {
    return this.#kept;
  }

  /** All of them, kept or not. */
  get count(): number {
    return this.#count;
  }

  add(lines: readonly (number | undefined)[], sentence: string): void {
    this.#count += 1;
    if (this.#kept.length >= KEPT_MAX) return;
    const known = new Set(lines.filter((line) => line !== undefined));
    this.#kept.push({ lines: [...known].sort((a, b) => a - b), sentence });
  }
}
