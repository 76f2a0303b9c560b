import { MeridianError } from "./errors.ts";

/** The part of the clock port that waiting needs. */
export interface Timers {
  after(delayMs: number, fire: () => void): () => void;
}

/** Resolves after `delayMs`, or at once when the signal is aborted: the caller's loop looks at the signal itself. */
export function sleep(timers: Timers, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const wake = () => {
      cancel();
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const cancel = timers.after(delayMs, wake);
    signal?.addEventListener("abort", wake, { once: true });
  });
}

/**
 * `work`, or UNAVAILABLE once `delayMs` have passed or the signal is aborted. The work goes on; its late result is dropped.
 */
export function withDeadline<T>(
  timers: Timers,
  delayMs: number,
  what: string,
  work: Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = (settle: () => void) => {
      cancel();
      signal?.removeEventListener("abort", aborted);
      settle();
    };
    const aborted = () => give(() => reject(new MeridianError("UNAVAILABLE", `${what} was given up`, { cause: signal?.reason })));
    const cancel = timers.after(delayMs, () =>
      give(() => reject(new MeridianError("UNAVAILABLE", `${what} had no answer within ${delayMs} ms`))),
    );
    work.then(
      (value) => give(() => resolve(value)),
      (error: unknown) => give(() => reject(MeridianError.from(error))),
    );
    if (signal?.aborted === true) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
}
