/** What a node knows of the time. Order never depends on it: clocks bound the error of ids and the margin of leases, nothing else. */
export interface Clock {
  /** Milliseconds since an arbitrary origin; never goes back; stands still while the machine is suspended. */
  monotonicMs(): number;

  /** The machine's own UTC clock in milliseconds, as it is: it may step. Leases look at it beside the monotonic clock. */
  wallMs(): number;

  /** UTC with a bound of its error, for ids and timestamps. */
  time(): TimeReading;

  /** Calls `fire` once, no earlier than `delayMs` from now. The answer cancels it; a second cancel does nothing. */
  after(delayMs: number, fire: () => void): () => void;

  /** Resolves once all input that is ready now has been handled: the coalescers' moment to send. Not a timer. */
  nextTurn(): Promise<void>;
}

export type TimeReading =
  | { readonly synchronised: true; readonly utcMs: number; readonly errorMs: number }
  | { readonly synchronised: false; readonly reason: string };
