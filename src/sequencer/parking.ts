import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Pending } from "./pending.ts";

interface Parked {
  readonly item: Pending;
  readonly wanted: number;
  readonly cancel: () => void;
}

const NOBODY: readonly Pending[] = [];

/** Messages whose producer has skipped ahead: they wait briefly for the counter before them, which may come another way. */
export class Parking {
  readonly #clock: Clock;
  readonly #byProducer = new Map<bigint, Parked[]>();
  readonly #giveUp: (item: Pending, wanted: number) => void;
  #size = 0;
  #bytes = 0;

  constructor(clock: Clock, giveUp: (item: Pending, wanted: number) => void) {
    this.#clock = clock;
    this.#giveUp = giveUp;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  park(item: Pending, wanted: number): void {
    const parked = this.#byProducer.get(item.producer) ?? [];
    if (parked.length >= LIMITS.producerInFlight) {
      this.#giveUp(item, wanted);
      return;
    }
    const entry: Parked = { item, wanted, cancel: this.#clock.after(LIMITS.counterGapWaitMs, () => this.#expire(entry)) };
    parked.push(entry);
    this.#count(entry, 1);
    this.#byProducer.set(item.producer, parked);
  }

  /** The highest of the ids that those who wait must get a higher one than; 0n for none. */
  get aboveId(): bigint {
    let highest = 0n;
    for (const parked of this.#byProducer.values()) {
      for (const { item } of parked) if (item.aboveId > highest) highest = item.aboveId;
    }
    return highest;
  }

  /** A counter of this producer got its seq: what waits behind it is judged again, in counter order. */
  release(producer: bigint): readonly Pending[] {
    const parked = this.#size === 0 ? undefined : this.#byProducer.get(producer);
    if (parked === undefined) return NOBODY;
    this.#byProducer.delete(producer);
    for (const entry of parked) {
      entry.cancel();
      this.#count(entry, -1);
    }
    return parked.map(({ item }) => item).sort((a, b) => a.counter - b.counter);
  }

  drain(): Pending[] {
    return [...this.#byProducer.keys()].flatMap((producer) => this.release(producer));
  }

  #expire(entry: Parked): void {
    const parked = this.#byProducer.get(entry.item.producer) ?? [];
    const rest = parked.filter((other) => other !== entry);
    if (rest.length === 0) this.#byProducer.delete(entry.item.producer);
    else this.#byProducer.set(entry.item.producer, rest);
    this.#count(entry, -1);
    this.#giveUp(entry.item, entry.wanted);
  }

  #count({ item }: Parked, by: 1 | -1): void {
    this.#size += by;
    this.#bytes += by * item.payload.length;
  }
}
