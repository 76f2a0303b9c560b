import type { Clock, TimeReading } from "../src/ports/clock.ts";
import type { VirtualClock } from "./clock.ts";
import type { Process } from "./process.ts";

/** Like the true time's own start. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

export interface ClockHabits {
  /** How fast its monotonic and its wall clock run; 1 is right. */
  readonly monotonicRate: number;
  readonly wallRate: number;
  /** How far its UTC is off, and how far it says that it may be: at least so much, unless a fault makes it lie. */
  readonly offsetMs: number;
  readonly errorMs: number;
}

/**
 * One process's idea of the time: its clocks run too fast or too slow, the wall clock steps or freezes, the machine may be
 * suspended: then the monotonic clock stands still.
 */
export class ProcessClock implements Clock {
  readonly #true: VirtualClock;
  readonly #process: Process;
  readonly #habits: ClockHabits;
  #suspendedAtMs: number | undefined;
  #lostMs = 0;
  #wallFrozenMs: number | undefined;
  #wallStepMs = 0;
  #unsynchronised = false;
  #lieMs = 0;

  constructor(trueClock: VirtualClock, process: Process, habits: ClockHabits) {
    this.#true = trueClock;
    this.#process = process;
    this.#habits = habits;
  }

  monotonicMs(): number {
    return ((this.#suspendedAtMs ?? this.#true.monotonicMs()) - this.#lostMs) * this.#habits.monotonicRate;
  }

  wallMs(): number {
    return this.#wallFrozenMs ?? EPOCH_MS + this.#true.monotonicMs() * this.#habits.wallRate + this.#wallStepMs;
  }

  time(): TimeReading {
    if (this.#unsynchronised) return { synchronised: false, reason: "no time server answers" };
    const { offsetMs, errorMs } = this.#habits;
    return { synchronised: true, utcMs: EPOCH_MS + this.#true.monotonicMs() + offsetMs + this.#lieMs, errorMs };
  }

  after(delayMs: number, fire: () => void): () => void {
    const dueMs = this.monotonicMs() + Math.max(0, delayMs);
    let cancelled = false;
    let cancel = () => {};
    const arm = () => {
      const leftMs = Math.max(0, dueMs - this.monotonicMs()) / this.#habits.monotonicRate;
      // Rounded up: a timer that fires a rounding error too early would be set again, for no time at all, for ever.
      const delay = leftMs === 0 ? 0 : Math.ceil(leftMs * 1_000 + 1e-3) / 1_000;
      cancel = this.#true.after(delay, () =>
        this.#process.ring(() => {
          if (cancelled) return;
          if (this.monotonicMs() < dueMs) arm();
          else fire();
        }),
      );
    };
    arm();
    return () => {
      cancelled = true;
      cancel();
    };
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#true.after(0, () => this.#process.enter(resolve)));
  }

  suspend(): void {
    this.#suspendedAtMs ??= this.#true.monotonicMs();
  }

  wake(): void {
    if (this.#suspendedAtMs === undefined) return;
    this.#lostMs += this.#true.monotonicMs() - this.#suspendedAtMs;
    this.#suspendedAtMs = undefined;
  }

  stepWall(byMs: number): void {
    this.#wallStepMs += byMs;
  }

  freezeWall(): void {
    this.#wallFrozenMs ??= this.wallMs();
  }

  /** It goes on from where it stood. */
  thawWall(): void {
    if (this.#wallFrozenMs === undefined) return;
    const frozenMs = this.#wallFrozenMs;
    this.#wallFrozenMs = undefined;
    this.#wallStepMs += frozenMs - this.wallMs();
  }

  /** It is put right, by a step. */
  correct(): void {
    this.#wallFrozenMs = undefined;
    this.#wallStepMs += EPOCH_MS + this.#true.monotonicMs() - this.wallMs();
    this.#unsynchronised = false;
    this.#lieMs = 0;
  }

  /** Its time servers are wrong, all in the same way. */
  lie(byMs: number): void {
    this.#lieMs = byMs;
  }

  synchronised(isSo: boolean): void {
    this.#unsynchronised = !isSo;
  }
}
