import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Fetched,
  MeridianService,
  type Outcomes,
  type SessionRequestSchema,
  type SessionResponse,
  type SubmitSchema,
  type Subscribed,
  type SubscribeSchema,
  type Welcome,
} from "../gen/meridian/v1/client_pb.ts";
import { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import { fromErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Channel, Duplex } from "../ports/network.ts";

type Frame = NonNullable<MessageInitShape<typeof SessionRequestSchema>["frame"]>;

/** What the node says about one subscription of the session. */
export interface SubscriptionListener {
  subscribed(answer: Subscribed): void;
  delivered(batches: readonly Uint8Array[]): void;
  cursorSaved(seq: number): void;
  /** The node has ended the subscription; not called after `unsubscribe`. */
  ended(error: MeridianError): void;
}

/** One subscription's way to the node. */
export interface SubscriptionLine {
  credit(bytes: number): void;
  acknowledge(seq: number): void;
  unsubscribe(): void;
}

export interface SessionOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly agent: string;
  readonly onOutcomes: (outcomes: Outcomes) => void;
  /**
   * Called when a ping has had no answer for a while: it may be time to look for another node. Undefined if there is none; then
   * a session that waits for nothing may take its time to find out that its node is gone.
   */
  readonly onDoubt: (() => void) | undefined;
}

/** A node stops reading a session with `sessionInFlightBytes` to answer, its pings included: we stay well below. */
const UNANSWERED_BYTES = LIMITS.sessionInFlightBytes / 2;

/**
 * The life of one stream to one node: a hello, frames both ways, an end. It finds out by pings that the node is gone, and
 * it keeps nothing for its successor: what must outlive it belongs to producers and subscriptions.
 */
export class Session {
  readonly #clock: Clock;
  readonly #onOutcomes: (outcomes: Outcomes) => void;
  readonly #onDoubt: (() => void) | undefined;
  readonly #duplex: Duplex<MessageInitShape<typeof SessionRequestSchema>, SessionResponse>;
  readonly #background = new Background((_what, error) => this.end(error));
  readonly #welcomed = new Deferred<Welcome>();
  readonly #ended = new Deferred<MeridianError>();
  readonly #openings = new Map<bigint, Deferred<bigint>>();
  readonly #fetches = new Map<bigint, Deferred<Fetched["answer"]>>();
  readonly #subscriptions = new Map<bigint, SubscriptionListener>();
  #requests = 0n;
  #over = false;
  #blocked: Promise<void> | undefined;
  #full: Deferred<void> | undefined;
  #unanswered = 0;
  #unansweredBytes = 0;
  #heardMs: number;
  #pingedMs: number | undefined;
  #isInDoubt = false;
  #isWelcome = false;

  constructor(options: SessionOptions) {
    this.#clock = options.clock;
    this.#onOutcomes = options.onOutcomes;
    this.#onDoubt = options.onDoubt;
    this.#duplex = options.channel.duplex(MeridianService.method.session);
    this.#heardMs = options.clock.monotonicMs();
    this.#write({ case: "hello", value: { agent: options.agent } });
    this.#background.run("reading the session", () => this.#read());
    this.#background.run("watching the session", (signal) => this.#watch(signal));
  }

  /** The node's answer to the hello. Throws when the node refuses or does not answer in time; then the session is over. */
  async welcome(): Promise<Welcome> {
    try {
      return await withDeadline(this.#clock, LIMITS.callDeadlineMs, "the hello", this.#welcomed.promise);
    } catch (error) {
      this.end(MeridianError.from(error));
      throw error;
    }
  }

  /** Resolves with the reason once the session is over. */
  get ended(): Promise<MeridianError> {
    return this.#ended.promise;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Set while the node reads slower than we write, or has enough to answer: no submits until it resolves. */
  get blocked(): Promise<void> | undefined {
    return this.#blocked ?? this.#full?.promise;
  }

  end(reason: MeridianError): void {
    if (this.#over) return;
    this.#over = true;
    this.#duplex.close(reason);
    this.#welcomed.reject(reason);
    for (const waiting of [...this.#openings.values(), ...this.#fetches.values()]) waiting.reject(reason);
    this.#full?.resolve();
    void this.#background.stop();
    this.#ended.resolve(reason);
  }

  /** A new producer of this sender, or one that it had before. Answers the id; throws the node's refusal. */
  openProducer(sender: string, resume: bigint): Promise<bigint> {
    const { request, answer } = this.#ask(this.#openings);
    this.#write({ case: "openProducer", value: { request, sender, resume } });
    return this.#within("opening a producer", this.#openings, request, answer);
  }

  /** `bytes`: what its items hold; the caller says `answered` of as much. */
  submit(submit: MessageInitShape<typeof SubmitSchema>, bytes: number): void {
    this.#unanswered += submit.items?.length ?? 0;
    this.#unansweredBytes += bytes;
    this.#write({ case: "submit", value: submit });
    if (this.#unansweredBytes >= UNANSWERED_BYTES) this.#full ??= new Deferred();
  }

  answered(messages: number, bytes: number): void {
    this.#unanswered -= messages;
    this.#unansweredBytes -= bytes;
    if (this.#unansweredBytes >= UNANSWERED_BYTES) return;
    this.#full?.resolve();
    this.#full = undefined;
  }

  /** Asks for a range, to fill a hole. Throws UNAVAILABLE when the session ends first or the answer takes too long. */
  fetch(conversation: string, fromSeq: number, toSeq: number): Promise<Fetched["answer"]> {
    const { request, answer } = this.#ask(this.#fetches);
    this.#write({ case: "fetch", value: { request, conversation, fromSeq: BigInt(fromSeq), toSeq: BigInt(toSeq) } });
    return this.#within("a fetch", this.#fetches, request, answer);
  }

  subscribe(
    start: Omit<MessageInitShape<typeof SubscribeSchema>, "subscription" | "$typeName">,
    listener: SubscriptionListener,
  ): SubscriptionLine {
    this.#requests += 1n;
    const subscription = this.#requests;
    this.#subscriptions.set(subscription, listener);
    this.#write({ case: "subscribe", value: { ...start, subscription } });
    return {
      credit: (bytes) => this.#write({ case: "credit", value: { subscription, bytes: BigInt(bytes) } }),
      acknowledge: (seq) => this.#write({ case: "acknowledge", value: { subscription, seq: BigInt(seq) } }),
      unsubscribe: () => {
        if (this.#subscriptions.delete(subscription)) this.#write({ case: "unsubscribe", value: { subscription } });
      },
    };
  }

  #ask<T>(waiting: Map<bigint, Deferred<T>>): { request: bigint; answer: Deferred<T> } {
    this.#requests += 1n;
    const answer = new Deferred<T>();
    waiting.set(this.#requests, answer);
    return { request: this.#requests, answer };
  }

  async #within<T>(what: string, waiting: Map<bigint, Deferred<T>>, request: bigint, answer: Deferred<T>): Promise<T> {
    if (this.#over) answer.reject(await this.#ended.promise);
    try {
      return await withDeadline(this.#clock, LIMITS.callDeadlineMs, what, answer.promise);
    } finally {
      waiting.delete(request);
    }
  }

  #write(frame: Frame): void {
    if (this.#over || this.#duplex.write({ frame }) || this.#blocked !== undefined) return;
    this.#blocked = this.#duplex.drained().then(() => {
      this.#blocked = undefined;
    });
  }

  async #read(): Promise<void> {
    for await (const { frame } of this.#duplex.frames) {
      if (this.#over) return;
      this.#heardMs = this.#clock.monotonicMs();
      this.#pingedMs = undefined;
      this.#isInDoubt = false;
      this.#dispatch(frame);
    }
    this.end(new MeridianError("UNAVAILABLE", "the node has ended the session"));
  }

  #dispatch(frame: SessionResponse["frame"]): void {
    switch (frame.case) {
      case "welcome":
        this.#isWelcome = true;
        return this.#welcomed.resolve(frame.value);
      case "producerOpened": {
        const { request, producer, error } = frame.value;
        const opening = this.#openings.get(request);
        return error === undefined ? opening?.resolve(producer) : opening?.reject(fromErrorDetail(error));
      }
      case "outcomes":
        return this.#onOutcomes(frame.value);
      case "subscribed":
        return this.#subscriptions.get(frame.value.subscription)?.subscribed(frame.value);
      case "delivery":
        return this.#subscriptions.get(frame.value.subscription)?.delivered(frame.value.batches);
      case "cursorSaved":
        return this.#subscriptions.get(frame.value.subscription)?.cursorSaved(Number(frame.value.seq));
      case "subscriptionEnded": {
        const { subscription, error } = frame.value;
        const listener = this.#subscriptions.get(subscription);
        this.#subscriptions.delete(subscription);
        const ended = new MeridianError("UNAVAILABLE", "the node has ended the subscription");
        return listener?.ended(error === undefined ? ended : fromErrorDetail(error));
      }
      case "fetched":
        return this.#fetches.get(frame.value.request)?.resolve(frame.value.answer);
      case "goodbye": {
        const { reason } = frame.value;
        const leaving = new MeridianError("UNAVAILABLE", "the node is about to stop", { retry: "elsewhere" });
        return this.end(reason === undefined ? leaving : fromErrorDetail(reason));
      }
      default:
        // A pong has done its work by arriving; frames of a later protocol version are none of ours.
        return;
    }
  }

  /** A dead node's connection may look alive for minutes: only an answer proves the node. */
  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const nowMs = this.#clock.monotonicMs();
      const dueMs = this.#silenceDueMs();
      if (nowMs < dueMs) {
        await sleep(this.#clock, Math.min(LIMITS.pingMs, dueMs - nowMs), signal);
      } else if (this.#pingedMs === undefined) {
        this.#pingedMs = nowMs;
        this.#write({ case: "ping", value: { nonce: 0n } });
      } else if (!this.#isInDoubt) {
        this.#isInDoubt = true;
        this.#onDoubt?.();
      } else {
        return this.end(new MeridianError("UNAVAILABLE", `the node has not answered a ping within ${LIMITS.pingAnswerMs} ms`));
      }
    }
  }

  /** When something is to be done about the node's silence: first a ping, then the doubt, then the end. */
  #silenceDueMs(): number {
    if (this.#pingedMs !== undefined) return this.#pingedMs + (this.#isInDoubt ? LIMITS.pingAnswerMs : LIMITS.pingDoubtMs);
    const isBusy = !this.#isWelcome || this.#unanswered > 0 || this.#openings.size > 0 || this.#fetches.size > 0;
    return this.#heardMs + (isBusy || this.#onDoubt !== undefined ? LIMITS.pingMs : LIMITS.pingIdleMs);
  }
}
