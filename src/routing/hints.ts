/** Where conversations are led according to others: a bounded memory, the oldest hint is forgotten first. */
export class Hints {
  readonly #limit: number;
  readonly #hints = new Map<string, string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#hints.size;
  }

  get(conversation: string): string | undefined {
    return this.#hints.get(conversation);
  }

  set(conversation: string, address: string): void {
    this.#hints.delete(conversation);
    this.#hints.set(conversation, address);
    for (const oldest of this.#hints.keys()) {
      if (this.#hints.size <= this.#limit) return;
      this.#hints.delete(oldest);
    }
  }

  delete(conversation: string): void {
    this.#hints.delete(conversation);
  }
}
