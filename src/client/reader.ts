import type { Fetched, Subscribed } from "../gen/meridian/v1/client_pb.ts";
import { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { fromErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { hashFromBytes } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import { decodeBatch, type Watermark } from "../log/batch.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Connection, SessionUser } from "./connection.ts";
import type { Events } from "./events.ts";
import { HoleFiller, type Question } from "./hole-filler.ts";
import { Intake, type Item, lastIdOf } from "./intake.ts";
import type { SeenIds } from "./seen-ids.ts";
import type { Session, SubscriptionLine } from "./session.ts";

export interface ReaderOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly connection: Connection;
  readonly events: Events;
  readonly seen: SeenIds;
  readonly conversation: string;
  /** Whose cursor the server keeps; empty for none. */
  readonly consumer: string;
  readonly after: number | "head";
  /** Something came, the start is known, or the reader is over. */
  readonly onNews: () => void;
  readonly onCursorSaved: (seq: number) => void;
  /** A new session follows the conversation: what it must be told again. */
  readonly onSubscribed: () => void;
}

const PAUSE = { firstMs: 100, maxMs: 5_000 };

/**
 * A subscription's side towards the nodes: it follows the conversation through one session after the other, from the last
 * seq that it received, and fetches what is missing. Memory is bounded by credit: the node pushes only as much as the
 * application has handled, and holes are not fetched while a full credit waits for it.
 */
export class Reader implements SessionUser {
  readonly #options: ReaderOptions;
  readonly #background: Background;
  readonly #filler: HoleFiller;
  /** Undefined until the start is known. */
  #intake: Intake | undefined;
  #session: Session | undefined;
  #line: SubscriptionLine | undefined;
  #isFollowing = false;
  #headSeq = 0;
  /** Credit of handled bytes that was not granted again yet. */
  #freed = 0;
  /** Where a doubtful batch came: a second one at the same place ends the subscription. */
  #doubtSeq: number | undefined;
  /** How often nodes have ended the subscription since something last came. */
  #refusals = 0;
  #error: MeridianError | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#background = new Background((what, error) => this.#end(this.#fault(what, error)));
    this.#filler = new HoleFiller({
      ...options,
      background: this.#background,
      question: () => this.#question(),
      take: (answer) => this.#fetched(answer),
      onFailed: (error) => (error.code === "CORRUPT" ? this.#doubt(error) : this.#end(error)),
    });
    if (options.after !== "head" && options.consumer === "") this.#intake = new Intake(options.conversation, options.after);
  }

  /** Where the subscription starts; undefined until a node has said so. */
  get startSeq(): number | undefined {
    return this.#intake?.tipSeq;
  }

  get headSeq(): number {
    return Math.max(this.#headSeq, this.#intake?.tipSeq ?? 0);
  }

  get proof(): Watermark | undefined {
    return this.#intake?.proof;
  }

  /** Set once nothing more will come than what waits now. */
  get error(): MeridianError | undefined {
    return this.#error;
  }

  next(): Item | undefined {
    return this.#intake?.next();
  }

  /** The application has handled an item: the node may push as much again. */
  release(item: Item): void {
    if (item.kind !== "entry") return;
    this.#intake?.release(item);
    this.#free(item.credit);
    this.#filler.look();
  }

  /** Answers false while no session follows the conversation. */
  acknowledge(seq: number): boolean {
    if (this.#line === undefined || !this.#isFollowing) return false;
    this.#line.acknowledge(seq);
    return true;
  }

  attached(session: Session): void {
    this.#session = session;
    this.#subscribe();
    this.#filler.awaken();
  }

  detached(): void {
    this.#session = undefined;
    this.#line = undefined;
    this.#isFollowing = false;
  }

  async close(): Promise<void> {
    this.#options.connection.leave(this);
    this.#line?.unsubscribe();
    this.detached();
    await this.#background.stop();
  }

  #subscribe(): void {
    const { conversation, consumer, after } = this.#options;
    const session = this.#session;
    if (session === undefined || this.#error !== undefined) return;
    const from = this.#intake?.tipSeq ?? after;
    this.#freed = 0;
    this.#line = session.subscribe(
      {
        conversation,
        consumer,
        start: from === "head" ? { case: "atHead", value: true } : { case: "after", value: BigInt(from) },
        creditBytes: BigInt(Math.max(0, LIMITS.subscriptionCreditBytes - (this.#intake?.heldCredit ?? 0))),
      },
      {
        subscribed: (answer) => this.#guarded(() => this.#subscribed(answer)),
        delivered: (batches) => this.#guarded(() => this.#delivered(batches)),
        cursorSaved: (seq) => this.#options.onCursorSaved(seq),
        ended: (error) => this.#ended(session, error),
      },
    );
  }

  #subscribed(answer: Subscribed): void {
    const after = Number(answer.after);
    this.#isFollowing = true;
    if (this.#intake === undefined) {
      this.#intake = new Intake(this.#options.conversation, after);
    } else if (this.#options.consumer !== "") {
      // Another reader of the same cursor has gone on in the meantime.
      this.#free(this.#intake.jump("moved", after));
    }
    if (answer.head !== undefined) this.#metHead({ seq: Number(answer.head.seq), hash: hashFromBytes(answer.head.hash) });
    this.#options.onSubscribed();
    this.#options.onNews();
  }

  #delivered(batches: readonly Uint8Array[]): void {
    this.#accept(batches, true);
    this.#refusals = 0;
    this.#filler.awaken();
    this.#options.onNews();
  }

  #accept(batches: readonly Uint8Array[], isPushed: boolean): void {
    const { conversation, seen } = this.#options;
    for (const bytes of batches) {
      const batch = decodeBatch(conversation, bytes);
      const dropped = this.#intakeNow().accept({ batch, credit: isPushed ? bytes.length : 0 });
      seen.saw(lastIdOf(batch));
      this.#free(dropped);
    }
  }

  #metHead(head: Watermark): void {
    this.#headSeq = Math.max(this.#headSeq, head.seq);
    this.#intakeNow().vouch(head);
  }

  #intakeNow(): Intake {
    if (this.#intake === undefined) throw new MeridianError("CORRUPT", "a node pushed messages before it said where they start");
    return this.#intake;
  }

  #free(credit: number): void {
    this.#freed += credit;
    if (this.#line === undefined || this.#freed < LIMITS.subscriptionCreditBytes / 2) return;
    this.#line.credit(this.#freed);
    this.#freed = 0;
  }

  /** What a node says is checked; what contradicts the chain is not believed. */
  #guarded(take: () => void): void {
    try {
      take();
    } catch (thrown) {
      this.#doubt(MeridianError.from(thrown));
    }
  }

  /** Asks another node once. If it says the same, the conversation is damaged: better no messages than wrong ones. */
  #doubt(error: MeridianError): void {
    const atSeq = this.#intake?.tipSeq ?? 0;
    this.#fault("a doubtful batch came", error);
    if (this.#doubtSeq !== undefined && atSeq <= this.#doubtSeq) return this.#end(error);
    this.#doubtSeq = atSeq;
    this.#intake?.distrust();
    this.#options.onNews();
    this.#options.connection.goElsewhere(error);
  }

  #ended(session: Session, error: MeridianError): void {
    if (this.#session !== session) return;
    this.#line = undefined;
    this.#isFollowing = false;
    const first = Number(error.details.first);
    if (error.code === "CORRUPT") return this.#doubt(error);
    if (error.code === "TRUNCATED" && first > (this.#intake?.tipSeq ?? 0) + 1) {
      this.#intake ??= new Intake(this.#options.conversation, typeof this.#options.after === "number" ? this.#options.after : 0);
      this.#free(this.#intake.jump("truncated", first - 1));
      this.#options.onNews();
    } else if (error.retry === "never") {
      return this.#end(error);
    }
    this.#background.run("subscribing again", async (signal) => {
      const { clock, random } = this.#options;
      await sleep(clock, backoffMs(this.#refusals, PAUSE, random.u32()), signal);
      this.#refusals += 1;
      if (this.#session === session && this.#line === undefined && !signal.aborted) this.#subscribe();
    });
  }

  #question(): Question | undefined {
    const { hole, readyBytes } = this.#intake ?? { hole: undefined, readyBytes: 0 };
    const session = this.#session;
    const hasRoom = readyBytes < LIMITS.subscriptionCreditBytes;
    return hole === undefined || session === undefined || session.isOver || !hasRoom ? undefined : { session, ...hole };
  }

  #fetched(answer: Fetched["answer"]): boolean {
    const intake = this.#intakeNow();
    const { tipSeq } = intake;
    if (answer.case === "entries") this.#accept(answer.value.batches, false);
    if (answer.case === "notYet") this.#metHead({ seq: Number(answer.value.seq), hash: hashFromBytes(answer.value.hash) });
    if (answer.case === "truncatedAt") this.#free(intake.jump("truncated", Number(answer.value)));
    if (answer.case === "error") throw fromErrorDetail(answer.value);
    this.#options.onNews();
    return intake.tipSeq > tipSeq;
  }

  #fault(what: string, error: MeridianError): MeridianError {
    this.#options.events.fault({ what, error, conversation: this.#options.conversation });
    return error;
  }

  #end(error: MeridianError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#options.connection.leave(this);
    this.#line?.unsubscribe();
    this.detached();
    this.#options.onNews();
  }
}
