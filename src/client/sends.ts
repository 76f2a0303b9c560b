import type { Outcomes } from "../gen/meridian/v1/client_pb.ts";
import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Connection } from "./connection.ts";
import type { Events } from "./events.ts";
import { Identity, type IdentityOptions } from "./identity.ts";
import { onAbort } from "./on-abort.ts";
import { formatRetryKey, type Outcome, type RetryKey } from "./outcome.ts";
import type { PendingSend } from "./pending-send.ts";
import type { SeenIds } from "./seen-ids.ts";
import { SendQueue } from "./send-queue.ts";

export interface SendsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly connection: Connection;
  readonly events: Events;
  readonly seen: SeenIds;
}

/** What all producers of a client share: the way to the node and back, the queue's bounds, and the end. */
export class Sends {
  readonly clock: Clock;
  readonly connection: Connection;
  readonly events: Events;
  readonly queue = new SendQueue();
  readonly #random: Random;
  readonly #seen: SeenIds;
  readonly #identities = new Set<Identity>();
  readonly #byId = new Map<bigint, Identity>();
  #open = 0;
  #wakeFlushed: (() => void)[] = [];
  #closed: MeridianError | undefined;

  constructor(options: SendsOptions) {
    this.clock = options.clock;
    this.connection = options.connection;
    this.events = options.events;
    this.#random = options.random;
    this.#seen = options.seen;
  }

  outcomes(outcomes: Outcomes): void {
    this.#byId.get(outcomes.producer)?.outcomes(outcomes);
  }

  /** A producer id of this sender: a new one, or one that is resumed. It takes part in every session until it is done. */
  identity(sender: string, id: bigint, onExpired: IdentityOptions["onExpired"]): Identity {
    const { clock, queue } = this;
    const identity = new Identity({
      clock,
      queue,
      random: this.#random,
      seen: this.#seen,
      sender,
      id,
      onOpened: (opened) => this.#byId.set(opened.id, opened),
      onExpired,
      onDone: (done) => {
        this.connection.leave(done);
        this.#identities.delete(done);
        if (this.#byId.get(done.id) === done) this.#byId.delete(done.id);
      },
    });
    this.#identities.add(identity);
    this.connection.join(identity);
    return identity;
  }

  /** Waits for a send's outcome; the signal gives it up. */
  outcomeOf(send: PendingSend, signal: AbortSignal | undefined): Promise<Outcome> {
    if (!send.isAwaited) this.#open += 1;
    const outcome = send.outcome(this.#settled);
    if (signal === undefined) return outcome;
    const forget = onAbort(signal, () => {
      send.window?.abort(send, new MeridianError("UNAVAILABLE", "the send was aborted", { cause: signal.reason }));
    });
    return outcome.finally(forget);
  }

  readonly #settled = (): void => {
    this.#open -= 1;
    if (this.#open === 0) for (const wake of this.#wakeFlushed.splice(0)) wake();
  };

  async resolve(key: RetryKey, deadlineMs: number, signal: AbortSignal | undefined): Promise<Outcome> {
    this.checkOpen();
    const unknown: Outcome = { status: "unknown", retryKey: formatRetryKey(key) };
    const known = this.#byId.get(key.producer);
    const identity = known ?? this.identity(key.sender, key.producer, () => {});
    const window = identity.window(key.conversation, key.counter + 1);
    const send = window.resolve(key.counter, this.clock.monotonicMs() + deadlineMs);
    if (known === undefined) {
      this.#byId.set(key.producer, identity);
      identity.retire();
    }
    const given = new Deferred<Outcome>();
    const forget = onAbort(signal, () => given.resolve(unknown));
    this.outcomeOf(send, undefined).then(given.resolve, given.reject);
    return given.promise.finally(forget);
  }

  /** Resolves when every send has its outcome. */
  flushed(): Promise<void> {
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => this.#wakeFlushed.push(resolve));
  }

  checkOpen(): void {
    if (this.#closed !== undefined) throw this.#closed;
  }

  /** No new sends from here on. */
  refuseNew(): void {
    this.#closed = new MeridianError("INVALID_ARGUMENT", "the client is closed");
  }

  /** What has no outcome yet gets its last one: never on the wire is expired, the rest unknown. */
  close(): void {
    const error = new MeridianError("UNAVAILABLE", "the client was closed before the send was accepted");
    for (const identity of [...this.#identities]) identity.close("expired", error);
  }
}

/** A deadline that an application asks for. Throws INVALID_ARGUMENT. */
export function checkDeadline(deadlineMs: number): number {
  if (Number.isFinite(deadlineMs) && deadlineMs > 0 && deadlineMs <= LIMITS.sendAgeMs) return deadlineMs;
  throw new MeridianError("INVALID_ARGUMENT", `deadlineMs is above 0 and at most ${LIMITS.sendAgeMs}, not ${deadlineMs}`);
}
