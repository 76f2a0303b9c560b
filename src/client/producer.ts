import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation, checkName } from "../kernel/names.ts";
import type { Identity } from "./identity.ts";
import { encodeKey, encodePayload } from "./messages.ts";
import type { Outcome } from "./outcome.ts";
import { PendingSend } from "./pending-send.ts";
import type { SendWindow } from "./send-window.ts";
import { checkDeadline, type Sends } from "./sends.ts";

export interface SendOptions {
  /** Recognises the message over the conversation's last 65,536, whoever sends it again; 1 to 256 bytes. */
  readonly key?: string | Uint8Array;
  /** What the body is, in the application's own words, such as "text/plain"; at most 128 bytes. */
  readonly type?: string;
  /** Gives the send up. Its outcome follows at most 5 s later. */
  readonly signal?: AbortSignal;
  /** After this the send is given up, as by the signal; above 0, at most 60,000 (the default). */
  readonly deadlineMs?: number;
  /** W3C trace context that travels with the message. */
  readonly traceparent?: string;
}

const NO_KEY = new Uint8Array();

/** Sends the messages of one sender: in each conversation in the order of the calls (G7), each accepted at most once (G3). */
export class Producer {
  readonly sender: string;
  readonly #sends: Sends;
  #identities: Identity[] = [];

  /** Throws INVALID_ARGUMENT for a sender that is not 1 to 256 bytes without control characters. */
  constructor(sends: Sends, sender: string) {
    checkName("the sender", sender, LIMITS.senderBytes);
    this.sender = sender;
    this.#sends = sends;
  }

  /**
   * Sends one message and answers how it ended. While the node is out of reach it waits and tries again, up to 20 times and
   * 60 s. Throws only for misuse: INVALID_ARGUMENT, TOO_LARGE.
   */
  send(conversation: string, body: Uint8Array | string, options: SendOptions = {}): Promise<Outcome> {
    // No async function: as long as a send has no outcome, its frame would take as much memory as everything else of the send.
    try {
      return this.#send(conversation, body, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(conversation: string, body: Uint8Array | string, options: SendOptions): Promise<Outcome> {
    const sends = this.#sends;
    sends.checkOpen();
    checkConversation(conversation);
    const deadlineMs = checkDeadline(options.deadlineMs ?? LIMITS.sendAgeMs);
    const send = new PendingSend(this.#encode(body, options), sends.clock.monotonicMs() + deadlineMs);
    if (options.signal?.aborted) {
      const error = new MeridianError("UNAVAILABLE", "the send was aborted", { cause: options.signal.reason });
      return Promise.resolve({ status: "expired", error });
    }
    if (!sends.queue.join(send)) {
      const error = new MeridianError("OVERLOADED", "too many sends of this client wait for the node");
      return Promise.resolve({ status: "rejected", error });
    }
    const outcome = sends.outcomeOf(send, options.signal);
    this.#window(conversation).add(send);
    return outcome;
  }

  #encode(body: Uint8Array | string, options: SendOptions): { payload: Uint8Array; key: Uint8Array } {
    const { clock, connection } = this.#sends;
    const traceparent = options.traceparent ?? "";
    if (traceparent !== "" && !/^[\da-f]{2}(-[\da-f]{2,32}){3}$/.test(traceparent)) {
      throw new MeridianError("INVALID_ARGUMENT", `${JSON.stringify(traceparent)} is not a W3C traceparent`);
    }
    const content = { type: options.type ?? "", body, sentAtMs: Math.trunc(clock.wallMs()), traceparent };
    return {
      payload: encodePayload(content, connection.bodyBytesMax),
      key: options.key === undefined ? NO_KEY : encodeKey(options.key),
    };
  }

  /** An old id keeps a conversation as long as something in it has no outcome: two ids at once would lose the order. */
  #window(conversation: string): SendWindow {
    const current = this.#identities.at(-1);
    for (const identity of this.#identities) {
      const known = identity.known(conversation);
      if (known !== undefined) return known;
    }
    const hasRoom = current !== undefined && !current.isRetired && current.conversations < LIMITS.conversationsPerProducer;
    if (hasRoom) return current.window(conversation);
    current?.retire();
    return this.#nextIdentity().window(conversation);
  }

  #nextIdentity(): Identity {
    const next = this.#sends.identity(this.sender, 0n, (conversation, waiting, error) => {
      this.#sends.events.fault({ what: `the producer of ${JSON.stringify(this.sender)} was forgotten`, error, conversation });
      this.#renew(next);
      if (waiting.length === 0) return;
      const window = this.#window(conversation);
      for (const send of waiting) window.add(send);
    });
    this.#identities = [...this.#identities.filter((identity) => identity.conversations > 0), next];
    return next;
  }

  #renew(expired: Identity): void {
    if (this.#identities.at(-1) !== expired) return;
    expired.retire();
    this.#nextIdentity();
  }
}
