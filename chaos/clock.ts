import { SystemClock } from "../src/adapters/system/clock.ts";
import { LIMITS } from "../src/kernel/limits.ts";

/** Durations and the time of day; nobody here asks it for UTC with a bound. */
export const clock = new SystemClock({ errorMs: LIMITS.clockErrorMs });
