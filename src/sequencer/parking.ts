import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Pending } from "./pending.ts";

interface Parked {
  readonly item: Pending;
  cancel: () => void;
}

/** Those of one producer who wait, by their counters. */
interface Line {
  readonly parked: Parked[];
  /** The counter that the producer's messages wait for. */
  wanted: number;
  /** When a counter of the producer got its seq last. */
  movedMs: number;
}

const NOBODY: readonly Pending[] = [];

/**
 * Messages whose producer has skipped ahead: they wait briefly for the counter before them, which may come another way. As long
 * as their producer gets on, they wait on. Each is let go when its turn has come: if all were, for every counter that got its
 * seq, a thousand messages that came before those they follow would be looked at a thousand times each.
 */
export class Parking {
  readonly #clock: Clock;
  readonly #byProducer = new Map<bigint, Line>();
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
    const { producer } = item;
    const line = this.#byProducer.get(producer) ?? { parked: [], wanted, movedMs: Number.NEGATIVE_INFINITY };
    if (line.parked.length >= LIMITS.producerInFlight) {
      this.#giveUp(item, wanted);
      return;
    }
    this.#byProducer.set(producer, line);
    line.wanted = wanted;
    const entry: Parked = { item, cancel: () => {} };
    this.#expireAfter(LIMITS.counterGapWaitMs, line, entry);
    let at = line.parked.length;
    while (at > 0 && (line.parked[at - 1] as Parked).item.counter > item.counter) at -= 1;
    line.parked.splice(at, 0, entry);
    this.#count(entry, 1);
  }

  /** The highest of the ids that those who wait must get a higher one than; 0n for none. */
  get aboveId(): bigint {
    let highest = 0n;
    for (const { parked } of this.#byProducer.values()) {
      for (const { item } of parked) if (item.aboveId > highest) highest = item.aboveId;
    }
    return highest;
  }

  /** A counter of this producer got its seq, and the next one is wanted: whose turn it is, or was, is judged again. */
  release(producer: bigint, wanted: number): readonly Pending[] {
    const line = this.#size === 0 ? undefined : this.#byProducer.get(producer);
    if (line === undefined) return NOBODY;
    line.wanted = wanted;
    line.movedMs = this.#clock.monotonicMs();
    const due = line.parked.findIndex(({ item }) => item.counter > wanted);
    return this.#letGo(producer, line, due < 0 ? line.parked.length : due);
  }

  drain(): Pending[] {
    return [...this.#byProducer].flatMap(([producer, line]) => this.#letGo(producer, line, line.parked.length));
  }

  #letGo(producer: bigint, { parked }: Line, count: number): Pending[] {
    const gone = parked.splice(0, count);
    if (parked.length === 0) this.#byProducer.delete(producer);
    for (const entry of gone) {
      entry.cancel();
      this.#count(entry, -1);
    }
    return gone.map(({ item }) => item);
  }

  #expireAfter(delayMs: number, line: Line, entry: Parked): void {
    entry.cancel = this.#clock.after(delayMs, () => this.#expire(line, entry));
  }

  #expire(line: Line, entry: Parked): void {
    const leftMs = line.movedMs + LIMITS.counterGapWaitMs - this.#clock.monotonicMs();
    if (leftMs > 0) return this.#expireAfter(leftMs, line, entry);
    line.parked.splice(line.parked.indexOf(entry), 1);
    if (line.parked.length === 0) this.#byProducer.delete(entry.item.producer);
    this.#count(entry, -1);
    this.#giveUp(entry.item, line.wanted);
  }

  #count({ item }: Parked, by: 1 | -1): void {
    this.#size += by;
    this.#bytes += by * item.payload.length;
  }
}
