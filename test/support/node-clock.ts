import type { VirtualClock } from "../../sim/clock.ts";
import type { Clock, TimeReading } from "../../src/ports/clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
  cancel: () => void;
}

/**
 * One node's own idea of the time over the virtual time of the test: its clocks may run fast or slow, each by its own
 * rate, and the machine may be suspended. Then its monotonic clock and its timers stand still, and its wall clock goes on.
 */
export class NodeClock implements Clock {
  readonly #true: VirtualClock;
  readonly #monotonicRate: number;
  readonly #wallRate: number;
  readonly #timers = new Set<Timer>();
  /** Milliseconds of virtual time spent suspended. */
  #lostMs = 0;
  #suspendedAtMs: number | undefined;
  #wallStepMs = 0;
  /** Undefined: synchronised. */
  #unsynchronised: string | undefined;

  constructor(trueClock: VirtualClock, rates: { readonly monotonic?: number; readonly wall?: number } = {}) {
    this.#true = trueClock;
    this.#monotonicRate = rates.monotonic ?? 1;
    this.#wallRate = rates.wall ?? 1;
  }

  monotonicMs(): number {
    return ((this.#suspendedAtMs ?? this.#true.monotonicMs()) - this.#lostMs) * this.#monotonicRate;
  }

  wallMs(): number {
    return 1_767_225_600_000 + this.#true.monotonicMs() * this.#wallRate + this.#wallStepMs;
  }

  time(): TimeReading {
    if (this.#unsynchronised !== undefined) return { synchronised: false, reason: this.#unsynchronised };
    return { synchronised: true, utcMs: this.wallMs(), errorMs: 1 };
  }

  after(delayMs: number, fire: () => void): () => void {
    const timer: Timer = { dueMs: this.monotonicMs() + Math.max(0, delayMs), fire, cancel: () => {} };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => {
      this.#timers.delete(timer);
      timer.cancel();
    };
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.after(0, resolve));
  }

  suspend(): void {
    this.#suspendedAtMs ??= this.#true.monotonicMs();
    for (const timer of this.#timers) timer.cancel();
  }

  resume(): void {
    if (this.#suspendedAtMs === undefined) return;
    this.#lostMs += this.#true.monotonicMs() - this.#suspendedAtMs;
    this.#suspendedAtMs = undefined;
    for (const timer of this.#timers) this.#arm(timer);
  }

  stepWall(byMs: number): void {
    this.#wallStepMs += byMs;
  }

  lose(reason: string | undefined): void {
    this.#unsynchronised = reason;
  }

  #arm(timer: Timer): void {
    if (this.#suspendedAtMs !== undefined) return;
    const leftMs = Math.max(0, timer.dueMs - this.monotonicMs()) / this.#monotonicRate;
    // Rounded up: a timer that fires a rounding error too early would be set again, for no time at all, for ever.
    const delayMs = this.#monotonicRate === 1 ? leftMs : Math.ceil(leftMs * 1_000 + 1e-3) / 1_000;
    timer.cancel = this.#true.after(delayMs, () => {
      this.#timers.delete(timer);
      timer.fire();
    });
  }
}
