/** At most `limit` pieces of work at once; the others wait in their order, unless somebody is in a hurry for one of them. */
export class Slots {
  /** Below 0 while work runs that was not to wait. */
  #free: number;
  readonly #waiting = new Map<unknown, () => void>();

  constructor(limit: number) {
    this.#free = limit;
  }

  /** `whose` names the work for `hurry`; what waits is named by nothing else. */
  async run<T>(work: () => Promise<T>, whose: unknown = work): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.set(whose, resolve));
    try {
      return await work();
    } finally {
      this.#free += 1;
      if (this.#free > 0) this.hurry(this.#waiting.keys().next().value);
    }
  }

  /** Begins the work now, beyond the limit, if it still waits. */
  hurry(whose: unknown): void {
    const begin = this.#waiting.get(whose);
    if (begin === undefined) return;
    this.#waiting.delete(whose);
    this.#free -= 1;
    begin();
  }
}
