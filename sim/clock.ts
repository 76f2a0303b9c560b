import type { Clock, TimeReading } from "../src/ports/clock.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  /** Undefined: it was cancelled. */
  fire: (() => void) | undefined;
}

/** So many events in one instant are a loop that never ends. */
const INSTANT_EVENTS = 200_000;

/** After so many events real timers get their turn, such as a test's own deadline. */
const BREATHE_EVENTS = 4_096;

/** Between two looks: it costs little, and what grows beyond its limit seldom shrinks within so few. */
const LOOK_EVENTS = 128;

/**
 * Virtual time. Nothing happens by itself: `advance` and `until` fire the timers in the order of their times (equal times
 * in the order of their setting), and drain all microtasks between two of them. Hours pass in milliseconds, and the same
 * program always takes the same course.
 */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #fired = 0;
  #firedBefore = 0;
  /** How many `advance` and `until` are under way: a test may do the one within the other. */
  #drivers = 0;
  readonly #epochMs: number;
  readonly #heap: Event[] = [];
  #look: () => void = () => {};

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs;
  }

  /** How many timers have fired so far: how much has happened, and a fingerprint of the course. */
  get events(): number {
    return this.#fired;
  }

  /** Calls `look` now and then between two timers, when all that followed from the last one has happened. It must change nothing. */
  watch(look: () => void): void {
    this.#look = look;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#epochMs + this.#nowMs;
  }

  time(): TimeReading {
    return { synchronised: true, utcMs: this.wallMs(), errorMs: 1 };
  }

  after(delayMs: number, fire: () => void): () => void {
    const event: Event = { at: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    this.#push(event);
    return () => {
      event.fire = undefined;
    };
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.after(0, resolve));
  }

  /** Lets `durationMs` pass. */
  async advance(durationMs: number): Promise<void> {
    const end = this.#nowMs + durationMs;
    await this.#driven(async () => {
      for (let next = this.#next(); next !== undefined && next.at <= end; next = this.#next()) await this.#fireNext();
    });
    this.#nowMs = end;
  }

  /** Lets time pass until `work` settles and answers its result. Throws when nothing is left to happen or after `limitMs`. */
  async until<T>(work: Promise<T>, limitMs = 600_000): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    work.then(settle, settle);
    const end = this.#nowMs + limitMs;
    await this.#driven(async () => {
      while (!settled) {
        const next = this.#next();
        if (next === undefined) throw new Error(`nothing is left to happen at ${this.#nowMs} ms, and the work has not ended`);
        if (next.at > end) throw new Error(`the work has not ended within ${limitMs} ms of virtual time`);
        await this.#fireNext();
      }
    });
    return work;
  }

  async #driven(drive: () => Promise<void>): Promise<void> {
    this.#drivers += 1;
    try {
      await breathe();
      await drive();
    } finally {
      this.#drivers -= 1;
    }
  }

  #fireNext(): Promise<void> {
    const event = this.#pop();
    if (event.at > this.#nowMs) {
      this.#nowMs = event.at;
      this.#firedBefore = this.#fired;
    }
    if (this.#fired - this.#firedBefore > INSTANT_EVENTS)
      throw new Error(`time stands still at ${this.#nowMs} ms: something loops`);
    this.#fired += 1;
    if (this.#fired % LOOK_EVENTS === 0) this.#look();
    event.fire?.();
    // The ticks of two drivers would come in one go, with no microtask in between.
    return this.#drivers > 1 || this.#fired % BREATHE_EVENTS === 0 ? breathe() : drainMicrotasks();
  }

  /** The next event that was not cancelled. */
  #next(): Event | undefined {
    while (this.#heap[0] !== undefined && this.#heap[0].fire === undefined) this.#pop();
    return this.#heap[0];
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent] as Event, event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event {
    const heap = this.#heap;
    const top = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (before(last, heap[child] as Event)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/**
 * Node runs its next-tick queue only when every microtask has run, however long their chain: a promise alone would not wait
 * for all of them, and a macrotask would, but costs five times as much.
 */
function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
