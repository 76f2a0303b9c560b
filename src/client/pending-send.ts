import type { MeridianError } from "../kernel/errors.ts";
import type { Outcome } from "./outcome.ts";
import type { SendWindow } from "./send-window.ts";

/** One counter of a producer in one conversation: a message, or a skip, from `send` to its outcome. */
export class PendingSend {
  /** A serialized Payload: the same bytes in every try. Empty for a counter that is only resolved. */
  readonly payload: Uint8Array;
  readonly key: Uint8Array;
  /** 0 until it is first put on the wire. */
  counter = 0;
  /** How often the message itself was submitted. */
  tries = 0;
  /** How many of its submits in the present session have no answer yet. */
  awaiting = 0;
  /** When the oldest of them was submitted, every counter below this one had its outcome. */
  settledBelow = 0;
  /** Given up: what is submitted from now on is a skip. */
  isSkip = false;
  /** Surely not accepted, and no copy is under way: its counter is free, unless later ones are in use. */
  isUnused = false;
  /** When the send is given up; once it is, when its outcome becomes "unknown". By the monotonic clock. */
  deadlineMs: number;
  /** What its last try that had an answer was told. */
  told: MeridianError | undefined;
  /** Why it was given up. */
  reason: MeridianError | undefined;
  /** The window that it stands in: it may move to another as long as it has no counter. */
  window: SendWindow | undefined;
  /** These three while somebody waits for the outcome. */
  #outcome: Promise<Outcome> | undefined;
  #resolve: ((outcome: Outcome) => void) | undefined;
  #onSettled: (() => void) | undefined;

  constructor(content: { readonly payload: Uint8Array; readonly key: Uint8Array }, deadlineMs: number) {
    this.payload = content.payload;
    this.key = content.key;
    this.deadlineMs = deadlineMs;
  }

  /** What it costs on its way; also as a skip, so that what was added for it is what is taken off again. */
  get bytes(): number {
    return this.payload.length + this.key.length;
  }

  /** Whether somebody still waits for the outcome. */
  get isAwaited(): boolean {
    return this.#outcome !== undefined;
  }

  /** `onSettled` is called once when there is an outcome, the one of whoever asks first. */
  outcome(onSettled: () => void): Promise<Outcome> {
    this.#onSettled ??= onSettled;
    this.#outcome ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#outcome;
  }

  settle(outcome: Outcome): void {
    this.#resolve?.(outcome);
    this.#onSettled?.();
    this.#outcome = undefined;
    this.#resolve = undefined;
    this.#onSettled = undefined;
  }
}
