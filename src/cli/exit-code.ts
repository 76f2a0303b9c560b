import type { Code } from "../kernel/errors.ts";

/** What the program says of its end to scripts: docs/operating.md. */
export const EXIT = { done: 0, violation: 1, usage: 2, unavailable: 3, unknown: 4 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** unavailable: the same again may succeed later or elsewhere. violation: something is broken. usage: ask for something else. */
const OF_CODE: Readonly<Record<Code, ExitCode>> = {
  NOT_LEADER: EXIT.unavailable,
  OVERLOADED: EXIT.unavailable,
  UNAVAILABLE: EXIT.unavailable,
  CLOCK_UNSYNCED: EXIT.unavailable,
  COUNTER_GAP: EXIT.unavailable,
  PRODUCER_EXPIRED: EXIT.unavailable,
  PRODUCER_CONFLICT: EXIT.violation,
  CORRUPT: EXIT.violation,
  INTERNAL: EXIT.violation,
  KEY_WINDOW_PASSED: EXIT.usage,
  KEY_CONFLICT: EXIT.usage,
  INVALID_ARGUMENT: EXIT.usage,
  TOO_LARGE: EXIT.usage,
  TRUNCATED: EXIT.usage,
  NOT_FOUND: EXIT.usage,
  UNAUTHENTICATED: EXIT.usage,
  PERMISSION_DENIED: EXIT.usage,
};

export function exitCodeOf(code: Code): ExitCode {
  return OF_CODE[code];
}
