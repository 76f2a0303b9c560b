import { MeridianService } from "../gen/meridian/v1/client_pb.ts";
import { MeridianError } from "../kernel/errors.ts";
import { type Hash, hashFromBytes, ROOT_HASH } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Network } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import { Connection } from "./connection.ts";
import { type ClientEvents, type ConnectionState, Events, type Fault } from "./events.ts";
import { type Message, messageFromWire } from "./messages.ts";
import { type Outcome, parseRetryKey } from "./outcome.ts";
import { Producer, type SendOptions } from "./producer.ts";
import { SeenIds } from "./seen-ids.ts";
import { checkDeadline, Sends } from "./sends.ts";
import type { SubscribeOptions } from "./subscribe-options.ts";
import { Subscription } from "./subscription.ts";

export interface ClientOptions {
  /**
   * Nodes as `host:port`, one or more of each region; any node takes any call. The client uses the nearest one that serves, and of
   * equally near ones that which is named first.
   */
  readonly endpoints: readonly string[];
  /** Who sends by `client.send`; 1 to 256 bytes. Without it, use `client.producer({ sender })`. */
  readonly sender?: string;
  /** Program and version, for the nodes' logs. */
  readonly agent?: string;
}

/** What the client needs of the world: real ones outside, virtual ones in the simulator. */
export interface ClientPorts {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  /** Gets the faults and dead letters for which the application does not listen. */
  readonly unheard: (fault: Fault) => void;
}

/** A range of a conversation. Numbers without a message in it are voids. */
export interface History {
  readonly messages: readonly Message[];
  /** The range goes up to this seq: ask on after it. */
  readonly through: number;
  /** The conversation's last seq. */
  readonly head: number;
}

/** Who leads a conversation and how far it is. */
export interface Location {
  /** The region that leads it. */
  readonly home: string;
  readonly shard: number;
  /** The node that leads it, as far as the answering node knows; may be empty. */
  readonly leader: string;
  readonly epoch: bigint;
  readonly head: { readonly seq: number; readonly hash: Hash };
}

/** The application's connection to Meridian: one session to the nearest node, kept over failures, for everything it does. */
export class Client implements AsyncDisposable {
  readonly #ports: ClientPorts;
  readonly #events: Events;
  readonly #seen = new SeenIds();
  readonly #connection: Connection;
  readonly #sends: Sends;
  readonly #producer: Producer | undefined;
  readonly #subscriptions = new Set<Subscription>();
  #closing: Promise<void> | undefined;

  /** Connects in the background. Throws INVALID_ARGUMENT. */
  constructor(ports: ClientPorts, options: ClientOptions) {
    this.#ports = ports;
    this.#events = new Events(ports.unheard);
    this.#connection = new Connection({
      ...ports,
      endpoints: options.endpoints,
      agent: options.agent ?? "",
      events: this.#events,
      onOutcomes: (outcomes) => this.#sends.outcomes(outcomes),
    });
    this.#sends = new Sends({ ...ports, connection: this.#connection, events: this.#events, seen: this.#seen });
    if (options.sender !== undefined) this.#producer = new Producer(this.#sends, options.sender);
  }

  /** Where the connection is now; `on("state", …)` tells the changes. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Calls `listener` at every event of this name; the answer removes it again. */
  on<E extends keyof ClientEvents>(event: E, listener: (event: ClientEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /** Sends as the client's own sender: see `Producer.send`. Throws INVALID_ARGUMENT if the client was made without one. */
  send(conversation: string, body: Uint8Array | string, options?: SendOptions): Promise<Outcome> {
    if (this.#producer !== undefined) return this.#producer.send(conversation, body, options);
    return Promise.reject(
      new MeridianError("INVALID_ARGUMENT", "connect with a sender, or send by a producer", {
        advice: "Give `connect` a `sender`, or call `client.producer({ sender }).send(…)`.",
      }),
    );
  }

  /** A producer for one sender; many can share the client. Each keeps its own order. Throws INVALID_ARGUMENT. */
  producer(options: { readonly sender: string }): Producer {
    this.#sends.checkOpen();
    return new Producer(this.#sends, options.sender);
  }

  /**
   * Settles an outcome that was `unknown`, now or after a restart: if the message stands in the log it is `committed`; else it
   * is made sure that it never will, and it is `expired`. Still `unknown` after `deadlineMs` (default 60,000) or the signal.
   * Throws INVALID_ARGUMENT.
   */
  async resolve(
    retryKey: string,
    options: { readonly signal?: AbortSignal; readonly deadlineMs?: number } = {},
  ): Promise<Outcome> {
    return this.#sends.resolve(parseRetryKey(retryKey), checkDeadline(options.deadlineMs ?? LIMITS.sendAgeMs), options.signal);
  }

  /** Follows a conversation. Throws INVALID_ARGUMENT, and OVERLOADED above 10,000 subscriptions. */
  subscribe(conversation: string, options: SubscribeOptions = {}): Subscription {
    this.#sends.checkOpen();
    if (this.#subscriptions.size >= LIMITS.subscriptionsPerSession) {
      throw new MeridianError("OVERLOADED", `a client has at most ${LIMITS.subscriptionsPerSession} subscriptions`);
    }
    const subscription = new Subscription(
      {
        clock: this.#ports.clock,
        random: this.#ports.random,
        connection: this.#connection,
        events: this.#events,
        seen: this.#seen,
        onClosed: (closed) => this.#subscriptions.delete(closed),
      },
      conversation,
      options,
    );
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /**
   * Reads up to `limit` seqs (1 to 1,000, default 100) after `after` (default 0). Throws INVALID_ARGUMENT, TRUNCATED, and
   * UNAVAILABLE after 10 s.
   */
  async history(
    conversation: string,
    options: { readonly after?: number; readonly limit?: number; readonly signal?: AbortSignal } = {},
  ): Promise<History> {
    checkConversation(conversation);
    const { after = 0, limit = LIMITS.historyMessagesDefault } = options;
    checkInteger("after", after, 0, Number.MAX_SAFE_INTEGER);
    checkInteger("limit", limit, 1, LIMITS.historyMessages);
    const request = { conversation, after: BigInt(after), limit };
    const answer = await this.#connection.call(MeridianService.method.history, request, options.signal);
    const messages = answer.messages.map((message) => messageFromWire(conversation, message));
    for (const { id } of messages) this.#seen.saw(id);
    return { messages, through: Number(answer.through), head: Number(answer.headSeq) };
  }

  /** Says who leads a conversation. Throws INVALID_ARGUMENT, and UNAVAILABLE after 10 s. */
  async locate(conversation: string, options: { readonly signal?: AbortSignal } = {}): Promise<Location> {
    checkConversation(conversation);
    const answer = await this.#connection.call(MeridianService.method.locate, { conversation }, options.signal);
    const { home, shard, leader, epoch, head } = answer;
    const hash = head === undefined || head.hash.length === 0 ? ROOT_HASH : hashFromBytes(head.hash);
    return { home, shard, leader, epoch, head: { seq: Number(head?.seq ?? 0n), hash } };
  }

  /** Unique ids for the application's own use, in growing order; 1 to 4,096. Throws INVALID_ARGUMENT, UNAVAILABLE after 10 s. */
  async generateIds(count = 1, options: { readonly signal?: AbortSignal } = {}): Promise<readonly bigint[]> {
    checkInteger("count", count, 1, LIMITS.idsPerCall);
    return (await this.#connection.call(MeridianService.method.generateIds, { count }, options.signal)).ids;
  }

  /**
   * Closes the subscriptions, saving their cursors, waits up to 5 s for the outcomes of sends under way, and disconnects. What
   * has no outcome then is `expired` if it was never tried, else `unknown`. Throws the first error of a cursor not saved.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#sends.refuseNew();
    const closed = await Promise.allSettled([...this.#subscriptions].map((subscription) => subscription.close()));
    // When this wait ends by its deadline, the sends that are left get their last outcome below.
    await withDeadline(this.#ports.clock, LIMITS.giveUpMs, "the last sends", this.#sends.flushed()).catch(() => {});
    this.#sends.close();
    await this.#connection.close();
    const failed = closed.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

function checkInteger(what: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new MeridianError("INVALID_ARGUMENT", `${what} is an integer from ${min} to ${max}, not ${value}`);
}
