import { invariant } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

/** What is remembered of a message; its producer is undefined if it has none. */
export interface RecentMessage<P> {
  readonly id: bigint;
  readonly producer: P | undefined;
  readonly counter: bigint;
  readonly digest: bigint;
}

/**
 * The last messages of a conversation by their seqs: a ring of columns, which grow with the conversation. An object for each
 * message would take five times the memory, and the garbage collector would look at all of them again and again.
 */
export class RecentMessages<P> {
  #ids = new BigUint64Array(Math.min(16, LIMITS.dedupMessages));
  #counters = new BigUint64Array(this.#ids.length);
  #digests = new BigUint64Array(this.#ids.length);
  #producers = new Array<P | undefined>(this.#ids.length);
  #firstSeq = 1;
  #length = 0;

  /** The seq of the oldest message that is remembered; 1 while none was forgotten. */
  get firstSeq(): number {
    return this.#firstSeq;
  }

  /** The seq after the newest one's. */
  get endSeq(): number {
    return this.#firstSeq + this.#length;
  }

  /** The seq of the message that the next one pushes out. */
  get leaving(): number | undefined {
    return this.#length === LIMITS.dedupMessages ? this.#firstSeq : undefined;
  }

  id(seq: number): bigint {
    return this.#ids[this.#slot(seq)] as bigint;
  }

  producer(seq: number): P | undefined {
    return this.#producers[this.#slot(seq)];
  }

  counter(seq: number): bigint {
    return this.#counters[this.#slot(seq)] as bigint;
  }

  digest(seq: number): bigint {
    return this.#digests[this.#slot(seq)] as bigint;
  }

  /** The next message, or the first one of all. */
  push(seq: number, { id, producer, counter, digest }: RecentMessage<P>): void {
    if (this.#length === 0) this.#firstSeq = seq;
    invariant(seq === this.endSeq, "messages are remembered in the order of their seqs");
    if (this.#length === LIMITS.dedupMessages) this.#firstSeq += 1;
    else if (this.#length === this.#ids.length) this.#grow();
    this.#length = seq + 1 - this.#firstSeq;
    const slot = this.#slot(seq);
    this.#ids[slot] = id;
    this.#counters[slot] = counter;
    this.#digests[slot] = digest;
    this.#producers[slot] = producer;
  }

  #slot(seq: number): number {
    return seq % this.#ids.length;
  }

  #grow(): void {
    const length = Math.min(2 * this.#ids.length, LIMITS.dedupMessages);
    const [ids, counters, digests] = [new BigUint64Array(length), new BigUint64Array(length), new BigUint64Array(length)];
    const producers = new Array<P | undefined>(length);
    for (let seq = this.#firstSeq; seq < this.endSeq; seq += 1) {
      const slot = seq % length;
      ids[slot] = this.id(seq);
      counters[slot] = this.counter(seq);
      digests[slot] = this.digest(seq);
      producers[slot] = this.producer(seq);
    }
    this.#ids = ids;
    this.#counters = counters;
    this.#digests = digests;
    this.#producers = producers;
  }
}
