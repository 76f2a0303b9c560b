import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Events } from "./events.ts";
import type { Message } from "./messages.ts";

/** What a handler may want to know beside the message. */
export interface HandlerContext {
  /** 1 for the first try. */
  readonly attempt: number;
  /** Aborted when the subscription is being closed. */
  readonly signal: AbortSignal;
}

export type OnMessage = (message: Message, context: HandlerContext) => Promise<void> | void;
export type OnDeadLetter = (message: Message, error: MeridianError) => Promise<void> | void;

export interface HandlerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
  readonly onMessage: OnMessage;
  readonly onDeadLetter: OnDeadLetter | undefined;
}

const PAUSE = { firstMs: 100, maxMs: 5_000 };

/** Hands one message over: until the handler returns, or has failed often enough for the message to be set aside (G4). */
export class Handler {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** True once the message is done with, handled or set aside. False: the subscription was closed before. Never throws. */
  async handle(message: Message, signal: AbortSignal): Promise<boolean> {
    const { clock, random, onMessage } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await onMessage(message, { attempt, signal });
        return true;
      } catch (thrown) {
        if (signal.aborted) return false;
        if (attempt >= LIMITS.handlerTries) {
          await this.#setAside(message, failureOf("the handler", thrown));
          return true;
        }
      }
      await sleep(clock, backoffMs(attempt - 1, PAUSE, random.u32()), signal);
      if (signal.aborted) return false;
    }
  }

  async #setAside(message: Message, error: MeridianError): Promise<void> {
    const { events, onDeadLetter } = this.#options;
    if (onDeadLetter === undefined) return events.deadLetter({ message, error });
    try {
      await onDeadLetter(message, error);
    } catch (thrown) {
      events.deadLetter({ message, error });
      events.fault({
        what: `message ${message.seq} was given up, and so was its dead letter`,
        error: failureOf("onDeadLetter", thrown),
        conversation: message.conversation,
      });
    }
  }
}

function failureOf(who: string, thrown: unknown): MeridianError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new MeridianError("INTERNAL", `${who} failed: ${message}`, {
    advice: "This is the application's own error, in `cause`.",
    cause: thrown,
  });
}
