import { MeridianError } from "./errors.ts";

/**
 * A bounded first-in-first-out queue from plain code to one `for await` loop. It never grows beyond its limit: `push`
 * then answers false and takes nothing, and the caller decides what a full queue means.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #head = 0;
  readonly #limit: number;
  #end: { readonly error?: Error } | undefined;
  #wake: (() => void) | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): boolean {
    if (this.#end !== undefined || this.size >= this.#limit) return false;
    this.#items.push(item);
    this.#wakeUp();
    return true;
  }

  /** No more items; what is queued is still handed out, then the loop ends, or throws the error if there is one. */
  close(error?: Error): void {
    if (this.#end !== undefined) return;
    this.#end = error === undefined ? {} : { error };
    this.#wakeUp();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.#head < this.#items.length) {
        const item = this.#items[this.#head] as T;
        this.#head += 1;
        if (this.#head === this.#items.length) {
          this.#items.length = 0;
          this.#head = 0;
        }
        yield item;
      }
      if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      }
      if (this.#wake !== undefined) throw new MeridianError("INTERNAL", "a queue was iterated twice at once");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
