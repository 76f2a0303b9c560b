import type { VirtualClock } from "./clock.ts";
import { type Pick, Picks } from "./picks.ts";

/** What a process can be stopped in the middle of: the request is on its way out, or the answer on its way in. */
export type Moment = "append" | "append answer" | "read answer" | "checkpoint" | "txn" | "txn answer" | "renewal answer";

/** What becomes of exactly this write: these replicas get it, the others never do, or so much later. */
export interface Copies {
  readonly reach: readonly string[];
  /** 0: never. */
  readonly lateMs: number;
}

/** What becomes of exactly this transaction: its answer is lost. */
export interface TxnFate {
  /** When it is applied; negative: never. */
  readonly landMs: number;
  /** When its sender is told that the outcome is unknown. */
  readonly answerMs: number;
}

interface Waiting {
  readonly action: () => void;
  readonly isTimer: boolean;
}

/**
 * One process of the simulated world: a gate that everything passes on its way in. A paused one (stopped by a signal, stalled
 * in a loop, its machine suspended) hears nothing; what came meanwhile waits, and comes in its old order when it goes on.
 * A dead one hears nothing ever again: so its code, which goes on only when something comes, is at its end.
 */
export class Process {
  readonly place: string;
  readonly #clock: VirtualClock;
  #waiting: Waiting[] = [];
  #state: "running" | "paused" | "dead" = "running";
  readonly #stops = new Picks<() => void>();
  readonly copies = new Picks<Copies>();
  readonly txns = new Picks<TxnFate>();

  constructor(place: string, clock: VirtualClock) {
    this.place = place;
    this.#clock = clock;
  }

  get dead(): boolean {
    return this.#state === "dead";
  }

  get paused(): boolean {
    return this.#state === "paused";
  }

  /** Something comes in: a frame, an answer. */
  readonly enter = (action: () => void): void => this.#enter(action, false);

  /** A timer is due. */
  readonly ring = (action: () => void): void => this.#enter(action, true);

  /** As `enter`, unless the process is stopped right now, before it hears of it. */
  answer(moment: Moment, subject: string, action: () => void): void {
    this.#strike(moment, subject);
    this.enter(action);
  }

  /** A request goes out, unless the process is stopped right now: after it decided to send, before it has sent. */
  leave(moment: Moment, subject: string, send: () => void): void {
    this.#strike(moment, subject);
    this.enter(send);
  }

  /** At such a moment to come `pause` is called, which is to pause the process. */
  arm(moment: Moment, pick: Pick, pause: () => void): void {
    this.#stops.add(moment, pick, pause);
  }

  /** Nothing more is meant for this process. */
  disarm(): void {
    this.#stops.clear();
    this.copies.clear();
    this.txns.clear();
  }

  pause(): void {
    if (this.#state === "running") this.#state = "paused";
  }

  /** With `timersLast` it hears all that has come before it looks at its timers, as a loop that was in the middle of its input. */
  resume(timersLast = false): void {
    if (this.#state !== "paused") return;
    this.#state = "running";
    if (timersLast) this.#waiting = [false, true].flatMap((kind) => this.#waiting.filter(({ isTimer }) => isTimer === kind));
    this.#catchUp();
  }

  kill(): void {
    this.#state = "dead";
    this.#waiting = [];
  }

  #enter(action: () => void, isTimer: boolean): void {
    if (this.#state === "running" && this.#waiting.length === 0) action();
    else if (this.#state !== "dead") this.#waiting.push({ action, isTimer });
  }

  #strike(moment: Moment, subject: string): void {
    if (this.#state === "running") this.#stops.take(moment, subject)?.();
  }

  /** One after the other, each with all that follows from it; what comes meanwhile waits behind. */
  #catchUp(): void {
    if (this.#state !== "running" || this.#waiting.length === 0) return;
    this.#clock.after(0, () => {
      if (this.#state !== "running") return;
      this.#waiting.shift()?.action();
      this.#catchUp();
    });
  }
}
