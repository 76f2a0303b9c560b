import { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import type { Hash } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Connection } from "./connection.ts";
import { CursorSaver, loadCursor, ServerCursor } from "./cursors.ts";
import type { Events } from "./events.ts";
import { Handler } from "./handler.ts";
import type { Item } from "./intake.ts";
import { type Message, messageOf } from "./messages.ts";
import { onAbort } from "./on-abort.ts";
import { Reader } from "./reader.ts";
import type { SeenIds } from "./seen-ids.ts";
import { checkOptions, type SubscribeOptions } from "./subscribe-options.ts";

export interface SubscriptionContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly connection: Connection;
  readonly events: Events;
  readonly seen: SeenIds;
  readonly onClosed: (subscription: Subscription) => void;
}

/**
 * One conversation, message by message, in order, each once (G1, G4). Either `onMessage` is called, or the subscription is
 * iterated over: then a message counts as handled when the next one is asked for.
 */
export class Subscription implements AsyncIterable<Message>, AsyncDisposable {
  readonly conversation: string;
  readonly #context: SubscriptionContext;
  readonly #options: SubscribeOptions;
  readonly #background: Background;
  readonly #cursor: ServerCursor | undefined;
  readonly #saver: CursorSaver | undefined;
  readonly #started = new Deferred<void>();
  readonly #ended = new Deferred<MeridianError | undefined>();
  #reader: Reader | undefined;
  #position: number | undefined;
  #wake = new Deferred<void>();
  #isIterated = false;
  /** Handed out by the iterator, not yet handled. */
  #inHand: Item | undefined;
  #error: MeridianError | undefined;
  #isErrorTold = false;
  readonly #forgetSignal: () => void;
  #closing: Promise<void> | undefined;

  /** Throws INVALID_ARGUMENT. */
  constructor(context: SubscriptionContext, conversation: string, options: SubscribeOptions) {
    checkConversation(conversation);
    checkOptions(options);
    this.conversation = conversation;
    this.#context = context;
    this.#options = options;
    this.#background = new Background((what, error) => this.#end(what, error));
    const { consumer, cursors } = options;
    if (consumer !== undefined) this.#cursor = new ServerCursor((seq) => this.#reader?.acknowledge(seq) ?? false);
    const save = this.#cursor === undefined ? cursors : { save: (_: string, seq: number) => this.#cursor?.save(seq) };
    if (save !== undefined) {
      this.#saver = new CursorSaver({
        ...context,
        save: async (seq) => save.save(conversation, seq),
        onFault: this.#fault,
      });
    }
    this.#background.run("starting the subscription", (signal) => this.#start(signal));
    this.#forgetSignal = onAbort(options.signal, () => this.#closeByItself());
  }

  /** The last handled seq. Before the start is known: the `after` that was asked for, or 0. */
  get position(): number {
    const { after } = this.#options;
    return this.#position ?? (typeof after === "number" ? after : 0);
  }

  /** The conversation's last seq, as far as is known here. */
  get head(): number {
    return this.#reader?.headSeq ?? 0;
  }

  /**
   * The last verified place in the log: everything up to `seq` hashes to `hash`. Two readers with the same proof have had the
   * same messages. Undefined before the first batch.
   */
  get proof(): { readonly seq: number; readonly hash: Hash } | undefined {
    return this.#reader?.proof;
  }

  /** Resolves once a node has taken the subscription and its start is settled. Throws when it ended before. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Resolves when the subscription is over: with the error that ended it, or with undefined after a close. */
  get ended(): Promise<MeridianError | undefined> {
    return this.#ended.promise;
  }

  /** Once only, and not together with `onMessage`. Leaving the loop closes the subscription. Throws what ends it. */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    if (this.#options.onMessage !== undefined || this.#isIterated) {
      throw new MeridianError("INVALID_ARGUMENT", "a subscription has one reader: onMessage, or one loop");
    }
    this.#isIterated = true;
    return {
      next: async () => {
        this.#handled(this.#inHand);
        this.#inHand = undefined;
        const item = await this.#nextEntry();
        if (item === undefined) return this.#endLoop();
        this.#inHand = item;
        return { done: false, value: this.#messageOf(item) };
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * Takes no more messages, lets the running handler finish and waits until the cursor is saved, for at most 10 s each: so a
   * handler must not await it. Throws UNAVAILABLE when that fails: then messages that were handled may come again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { cursors } = this.#options;
    const { conversation } = this;
    const stored = cursors && (await loadCursor({ ...this.#context, cursors, conversation, onFault: this.#fault, signal }));
    if (signal.aborted) return;
    const { connection } = this.#context;
    const reader = new Reader({
      ...this.#context,
      conversation,
      consumer: this.#options.consumer ?? "",
      after: stored ?? this.#options.after ?? 0,
      onNews: () => this.#news(),
      onCursorSaved: (seq) => this.#cursor?.saved(seq),
      onSubscribed: () => {
        this.#position ??= reader.startSeq;
        this.#started.resolve();
        this.#cursor?.again();
      },
    });
    this.#reader = reader;
    this.#position = reader.startSeq;
    connection.join(reader);
    const { onMessage, onDeadLetter } = this.#options;
    if (onMessage !== undefined) await this.#handleAll(new Handler({ ...this.#context, onMessage, onDeadLetter }), signal);
  }

  async #handleAll(handler: Handler, signal: AbortSignal): Promise<void> {
    for (;;) {
      const item = await this.#nextEntry();
      if (item === undefined) break;
      if (!(await handler.handle(this.#messageOf(item), signal))) return;
      this.#handled(item);
    }
    if (this.#error !== undefined) throw this.#error;
  }

  /** The next message to hand over; voids and truncations are passed on the way. Undefined: the subscription is over. */
  async #nextEntry(): Promise<(Item & { kind: "entry" }) | undefined> {
    while (!this.#background.signal.aborted && this.#error === undefined) {
      const item = this.#reader?.next();
      if (item?.kind === "entry" && !item.entry.void) return item;
      if (item === undefined) {
        if (this.#reader?.error !== undefined) this.#error = this.#reader.error;
        else await this.#wake.promise;
      } else if (item.kind === "truncated" && this.#options.onTruncated === undefined) {
        this.#error = truncatedError(this.conversation, item);
      } else {
        if (item.kind === "truncated") this.#tellTruncation(item);
        this.#handled(item);
      }
    }
    return undefined;
  }

  /** The cursor moves only here: after the handler, in order (G4). */
  #handled(item: Item | undefined): void {
    if (item === undefined) return;
    this.#position = item.seq;
    this.#saver?.moved(item.seq);
    this.#reader?.release(item);
  }

  #messageOf(item: Item & { kind: "entry" }): Message {
    return messageOf(this.conversation, item.seq, item.id, item.entry);
  }

  #news(): void {
    this.#wake.resolve();
    this.#wake = new Deferred();
    const error = this.#reader?.error;
    if (error !== undefined) this.#cursor?.fail(error);
  }

  #tellTruncation(item: Item & { kind: "truncated" }): void {
    try {
      this.#options.onTruncated?.({ after: item.after, through: item.seq });
    } catch (thrown) {
      this.#fault("onTruncated failed", MeridianError.from(thrown));
    }
  }

  #endLoop(): IteratorReturnResult<undefined> {
    const error = this.#error;
    if (error === undefined || this.#isErrorTold) return { done: true, value: undefined };
    this.#end("the subscription ended", error);
    this.#isErrorTold = true;
    throw error;
  }

  #end(what: string, error: MeridianError): void {
    this.#error ??= error;
    this.#started.reject(error);
    this.#ended.resolve(error);
    if (this.#options.onMessage !== undefined) this.#fault(what, error);
    this.#closeByItself();
  }

  readonly #fault = (what: string, error: MeridianError): void => {
    this.#context.events.fault({ what, error, conversation: this.conversation });
  };

  #closeByItself(): void {
    this.close().catch((error: unknown) => this.#fault("the subscription was not closed well", MeridianError.from(error)));
  }

  async #close(): Promise<void> {
    this.#forgetSignal();
    const stopped = this.#background.stop();
    this.#wake.resolve();
    try {
      await withDeadline(this.#context.clock, LIMITS.callDeadlineMs, "the running handler", stopped);
    } finally {
      try {
        await this.#saver?.close();
      } finally {
        await this.#reader?.close();
        this.#started.reject(new MeridianError("UNAVAILABLE", "the subscription was closed"));
        this.#ended.resolve(undefined);
        this.#context.onClosed(this);
      }
    }
  }
}

function truncatedError(conversation: string, item: Item & { kind: "truncated" }): MeridianError {
  return new MeridianError(
    "TRUNCATED",
    `${JSON.stringify(conversation)} is no longer kept from ${item.after + 1} to ${item.seq}`,
    {
      details: { first: String(item.seq + 1) },
    },
  );
}
