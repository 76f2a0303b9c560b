/** Which calls something is meant for: after `skip` of them the next `count` whose subject holds `about`. */
export interface Pick {
  /** Part of a subject, such as `standup@east#12` or `shards/east/1`; default: any. */
  readonly about?: string;
  readonly skip?: number;
  readonly count?: number;
}

interface Waiting<T> {
  readonly kind: string;
  readonly about: string;
  readonly what: T;
  skip: number;
  left: number;
}

/** What waits for calls of a process that are yet to come, in the order in which it was laid out. */
export class Picks<T> {
  #waiting: Waiting<T>[] = [];

  add(kind: string, { about = "", skip = 0, count = 1 }: Pick, what: T): void {
    this.#waiting.push({ kind, about, what, skip, left: count });
  }

  /** What is meant for this call, if anything is. A call that one skips may be another's. */
  take(kind: string, subject: string): T | undefined {
    for (const waiting of this.#waiting) {
      if (waiting.kind !== kind || !subject.includes(waiting.about)) continue;
      if (waiting.skip > 0) {
        waiting.skip -= 1;
        continue;
      }
      waiting.left -= 1;
      if (waiting.left === 0) this.#waiting = this.#waiting.filter((one) => one !== waiting);
      return waiting.what;
    }
    return undefined;
  }

  clear(): void {
    this.#waiting = [];
  }
}
