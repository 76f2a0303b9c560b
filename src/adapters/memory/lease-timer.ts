import type { Clock } from "../../ports/clock.ts";
import type { Change, KeySpace } from "./key-space.ts";

/**
 * Ends leases when their time is up. It keeps one timer, for the lease that ends first; a renewal only moves an end away,
 * so it sets no timer: the timer fires, finds nothing due and is set for the next end.
 */
export class LeaseTimer {
  readonly #keySpace: KeySpace;
  readonly #clock: Clock;
  readonly #expired: (changes: Change[]) => void;
  #set: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #stopped = false;

  constructor(keySpace: KeySpace, clock: Clock, expired: (changes: Change[]) => void) {
    this.#keySpace = keySpace;
    this.#clock = clock;
    this.#expired = expired;
  }

  /** Call it after every grant. */
  update(): void {
    const atMs = this.#keySpace.nextExpiryMs();
    if (this.#stopped || atMs === undefined || (this.#set !== undefined && this.#set.atMs <= atMs)) return;
    this.#set?.cancel();
    this.#set = { atMs, cancel: this.#clock.after(atMs - this.#clock.monotonicMs(), () => this.#fire()) };
  }

  stop(): void {
    this.#stopped = true;
    this.#set?.cancel();
    this.#set = undefined;
  }

  #fire(): void {
    this.#set = undefined;
    this.#expired(this.#keySpace.expire(this.#clock.monotonicMs()));
    this.update();
  }
}
