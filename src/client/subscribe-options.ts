import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkName } from "../kernel/names.ts";
import type { CursorStore } from "./cursors.ts";
import type { OnDeadLetter, OnMessage } from "./handler.ts";

/** A range that the log does not keep any more: the subscription goes on above `through`. */
export interface Truncation {
  readonly after: number;
  readonly through: number;
}

export interface SubscribeOptions {
  /** Start after this seq; "head": with what comes from now on. A cursor has precedence. Default: 0, the beginning. */
  readonly after?: number | "head";
  /** The server keeps a cursor under this name, 1 to 256 bytes; the subscription goes on after it. */
  readonly consumer?: string;
  /** The application keeps the cursor. Not together with `consumer`. */
  readonly cursors?: CursorStore;
  /**
   * Called for one message at a time, in order; the next one comes after it has returned. When it throws it is called again,
   * after growing pauses, up to 5 times. Without it, iterate over the subscription.
   */
  readonly onMessage?: OnMessage;
  /** Gets the messages whose handler failed every time; then the subscription goes on. Without it: the event `deadLetter`. */
  readonly onDeadLetter?: OnDeadLetter;
  /** Told when the log is not kept from where this subscription is; it goes on after. Without it, that ends the subscription. */
  readonly onTruncated?: (truncation: Truncation) => void;
  /** Closes the subscription. */
  readonly signal?: AbortSignal;
}

/** Throws INVALID_ARGUMENT. */
export function checkOptions({ after, consumer, cursors }: SubscribeOptions): void {
  if (after !== undefined && after !== "head" && !(Number.isSafeInteger(after) && after >= 0)) {
    throw new MeridianError("INVALID_ARGUMENT", `after is a seq or "head", not ${JSON.stringify(after)}`);
  }
  if (consumer !== undefined) checkName("the consumer", consumer, LIMITS.consumerBytes);
  if (consumer !== undefined && cursors !== undefined) {
    throw new MeridianError("INVALID_ARGUMENT", "give a consumer or a cursor store, not both: one of them is the authority");
  }
}
