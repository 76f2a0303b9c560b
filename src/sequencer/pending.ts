import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Fate, SubmitItem, SubmitRun } from "../routing/leaders.ts";
import type { Candidate } from "./dedup.ts";

/** The fates of one submitted run, collected until every message has its own. */
export class RunFates {
  readonly promise: Promise<readonly Fate[]>;
  readonly #fates: Fate[];
  #left: number;
  #resolve!: (fates: readonly Fate[]) => void;
  #reject!: (error: MeridianError) => void;

  constructor(messages: number) {
    this.#fates = new Array(messages);
    this.#left = messages;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  settle(index: number, fate: Fate): void {
    this.#fates[index] = fate;
    this.#left -= 1;
    if (this.#left === 0) this.#resolve(this.#fates);
  }

  /** Nothing is known of the messages without a fate: the whole run is to be repeated. */
  fail(error: MeridianError): void {
    this.#reject(error);
  }
}

/** A message that waits for its seq. */
export interface Pending extends Candidate {
  readonly fates: RunFates;
  readonly index: number;
  readonly aboveId: bigint;
}

/** Messages at a leader's door, first come first served, bounded by number and bytes. */
export class PendingQueue {
  #items: Pending[] = [];
  #head = 0;
  #bytes = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Takes a whole run or nothing: OVERLOADED. What is parked may come back at any time, so it counts as if it waited here. */
  push(run: SubmitRun, parked: { readonly size: number; readonly bytes: number }): RunFates {
    const size = this.size + parked.size;
    const bytes = this.#bytes + parked.bytes + run.items.reduce((sum, item) => sum + item.payload.length, 0);
    const full = size + run.items.length > LIMITS.leaderQueueMessages || bytes > LIMITS.leaderQueueBytes;
    if (full && size > 0) {
      throw new MeridianError("OVERLOADED", `${JSON.stringify(run.conversation)} has too many messages waiting`);
    }
    const fates = new RunFates(run.items.length);
    for (let index = 0; index < run.items.length; index += 1) {
      const item = run.items[index] as SubmitItem;
      const counter = run.producer === 0n ? 0 : run.firstCounter + index;
      this.#add({
        producer: run.producer,
        sender: run.sender,
        counter,
        key: item.key,
        payload: item.payload,
        skip: item.skip,
        base: run.base,
        fates,
        index,
        aboveId: run.aboveId,
      });
    }
    return fates;
  }

  /** To the front again: messages that had to wait for an earlier counter of their producer. */
  putBack(items: readonly Pending[]): void {
    // Mostly they take the places of those that were taken out last.
    if (items.length > this.#head) {
      this.#items = [...items, ...this.#items.slice(this.#head)];
      this.#head = 0;
    } else {
      this.#head -= items.length;
      items.forEach((item, at) => {
        this.#items[this.#head + at] = item;
      });
    }
    for (const item of items) this.#bytes += item.payload.length;
  }

  peek(): Pending | undefined {
    return this.#items[this.#head];
  }

  /** The largest id that the senders of the next `count` messages have seen. */
  aboveId(count: number): bigint {
    let above = 0n;
    const end = Math.min(this.#items.length, this.#head + count);
    for (let i = this.#head; i < end; i += 1) {
      const { aboveId } = this.#items[i] as Pending;
      if (aboveId > above) above = aboveId;
    }
    return above;
  }

  shift(): void {
    const item = this.#items[this.#head] as Pending;
    this.#bytes -= item.payload.length;
    this.#head += 1;
    if (this.#head === this.#items.length || this.#head > LIMITS.leaderQueueMessages) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Takes everything out. */
  drain(): Pending[] {
    const rest = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
    return rest;
  }

  #add(item: Pending): void {
    this.#items.push(item);
    this.#bytes += item.payload.length;
  }
}
