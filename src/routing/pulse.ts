import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";

export interface PulseOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Gives the far side a sign of life. */
  readonly beat: () => void;
  /** When the far side was last heard, by the monotonic clock; at first, when the link began. */
  readonly heardMs: () => number;
}

/**
 * Keeps one end of a link alive: beats every second, and answers UNAVAILABLE once nothing was heard for three; undefined
 * when the signal is aborted. gRPC's own keep-alive takes 15 s, and it says nothing of the process behind the socket.
 */
export async function keepPulse({ clock, signal, beat, heardMs }: PulseOptions): Promise<MeridianError | undefined> {
  let beatAtMs = clock.monotonicMs() + LIMITS.feedHeartbeatMs;
  for (;;) {
    const dueMs = Math.min(beatAtMs, heardMs() + LIMITS.feedSilenceMs);
    await sleep(clock, Math.max(0, dueMs - clock.monotonicMs()), signal);
    // If it was this process that stood still, what has arrived meanwhile is heard first.
    await clock.nextTurn();
    if (signal.aborted) return undefined;
    const nowMs = clock.monotonicMs();
    if (nowMs - heardMs() >= LIMITS.feedSilenceMs) {
      return new MeridianError("UNAVAILABLE", `the other node was silent for ${LIMITS.feedSilenceMs} ms`, { retry: "elsewhere" });
    }
    if (nowMs < beatAtMs) continue;
    beat();
    beatAtMs = nowMs + LIMITS.feedHeartbeatMs;
  }
}
