/** What the caller should do about an error: nothing helps; the same again after a pause; another node or region now. */
export type Retry = "never" | "backoff" | "elsewhere";

interface CodeFacts {
  /** The gRPC status that carries the code, by its number. */
  readonly grpc: number;
  readonly retry: Retry;
  /** The advice given when the thrower has none that is more exact. */
  readonly advice: string;
}

/** Every code of the product, in one table: its gRPC status, whether to retry, and what to do. */
export const CODES = {
  NOT_LEADER: { grpc: 9, retry: "elsewhere", advice: "Ask the node in `details.leader`, or locate the conversation again." },
  PRODUCER_EXPIRED: {
    grpc: 9,
    retry: "never",
    advice: "Take a new producer id and send again only what was never tried; what was tried may stand in the log.",
  },
  PRODUCER_CONFLICT: {
    grpc: 6,
    retry: "never",
    advice: "The counter was used for other content: a producer must count each of its sends once.",
  },
  COUNTER_GAP: { grpc: 9, retry: "backoff", advice: "Send the counter in `details.wanted` first." },
  KEY_WINDOW_PASSED: {
    grpc: 9,
    retry: "never",
    advice: "The key's window has passed: look in the history whether the first try was accepted.",
  },
  KEY_CONFLICT: { grpc: 6, retry: "never", advice: "The key was used for other content: choose a new key." },
  INVALID_ARGUMENT: { grpc: 3, retry: "never", advice: "Mend the argument that the message names." },
  TOO_LARGE: { grpc: 3, retry: "never", advice: "Send less at once; `details.limit` is the limit." },
  OVERLOADED: { grpc: 8, retry: "backoff", advice: "Slow down and try again." },
  UNAVAILABLE: { grpc: 14, retry: "backoff", advice: "Try again; the first try may or may not have taken effect." },
  CLOCK_UNSYNCED: {
    grpc: 14,
    retry: "elsewhere",
    advice: "The node's clock is not synchronised within its bound: check its time source.",
  },
  TRUNCATED: { grpc: 11, retry: "never", advice: "The range is no longer kept: start from `details.first`." },
  NOT_FOUND: { grpc: 5, retry: "never", advice: "Check the name." },
  UNAUTHENTICATED: { grpc: 16, retry: "never", advice: "Give a valid token." },
  PERMISSION_DENIED: { grpc: 7, retry: "never", advice: "This identity may not do that." },
  CORRUPT: {
    grpc: 15,
    retry: "never",
    advice: "Stored data fails its check. Stop, keep the data, and compare the replicas.",
  },
  INTERNAL: { grpc: 13, retry: "never", advice: "This is a bug in Meridian: please report it." },
} as const satisfies Record<string, CodeFacts>;

export type Code = keyof typeof CODES;

export interface ErrorOptions {
  readonly retry?: Retry;
  readonly advice?: string;
  readonly details?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** The only error that Meridian's public API throws or reports. */
export class MeridianError extends Error {
  readonly code: Code;
  readonly retry: Retry;
  /** What to do about it, in a sentence. */
  readonly advice: string;
  readonly details: Readonly<Record<string, string>>;

  constructor(code: Code, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MeridianError";
    this.code = code;
    this.retry = options.retry ?? CODES[code].retry;
    this.advice = options.advice ?? CODES[code].advice;
    this.details = options.details ?? {};
  }

  /** Makes a MeridianError of anything thrown; what is not ours becomes INTERNAL with the original as its cause. */
  static from(thrown: unknown): MeridianError {
    if (thrown instanceof MeridianError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new MeridianError("INTERNAL", message, { cause: thrown });
  }

  override toString(): string {
    return `[${this.code}] ${this.message}`;
  }
}

/** For our own bugs only, never for input: throws INTERNAL when what must hold does not. */
export function invariant(holds: boolean, what: string): asserts holds {
  if (!holds) throw new MeridianError("INTERNAL", `invariant broken: ${what}`);
}
