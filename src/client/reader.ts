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
  /** Undefined until the start is known. */
  #intake: Intake | undefined;
  #session: Session | undefined;
  #line: SubscriptionLine | undefined;
  #isFollowing = false;
  #headSeq = 0;
  /** Credit of handled bytes that was not granted again yet. */
  #freed = 0;
  #isFilling = false;
  /** The last answer was that there is nothing to fetch: until something new arrives, asking again is idle. */
  #isFillIdle = false;
  /** Where a doubtful batch came: a second one at the same place ends the subscription. */
  #doubtSeq: number | undefined;
  /** How often nodes have ended the subscription since something last came. */
  #refusals = 0;
  #error: MeridianError | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#background = new Background((what, error) => this.#end(this.#fault(what, error)));
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
    this.#lookForHole();
  }

  /** Answers false while no session follows the conversation. */
  acknowledge(seq: number): boolean {
    if (this.#line === undefined || !this.#isFollowing) return false;
    this.#line.acknowledge(seq);
    return true;
  }

  attached(session: Session): void {
    this.#session = session;
    this.#isFillIdle = false;
    this.#subscribe();
    this.#lookForHole();
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
    this.#isFillIdle = false;
    this.#lookForHole();
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
      await this.#pause(this.#refusals, signal);
      this.#refusals += 1;
      if (this.#session === session && this.#line === undefined && !signal.aborted) this.#subscribe();
    });
  }

  #lookForHole(): void {
    if (this.#isFilling || this.#isFillIdle || !this.#canFill()) return;
    this.#isFilling = true;
    this.#background.run("filling a hole", async (signal) => {
      try {
        await sleep(this.#options.clock, LIMITS.holeWaitMs, signal);
        await this.#fillHole(signal);
      } finally {
        this.#isFilling = false;
      }
      if (!signal.aborted) this.#lookForHole();
    });
  }

  #canFill(): boolean {
    const { hole, readyBytes } = this.#intake ?? { hole: undefined, readyBytes: 0 };
    const hasRoom = readyBytes < LIMITS.subscriptionCreditBytes;
    return hole !== undefined && hasRoom && this.#session !== undefined && this.#error === undefined;
  }

  /** Every answer either shortens the hole, ends the asking, or costs a pause. */
  async #fillHole(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted && this.#canFill(); ) {
      const hole = this.#intake?.hole;
      const session = this.#session;
      if (hole === undefined || session === undefined) return;
      try {
        const answer = await session.fetch(this.#options.conversation, hole.fromSeq, hole.toSeq);
        if (signal.aborted || this.#session !== session) return;
        this.#fetched(answer);
        if (this.#isFillIdle) return;
        failures = 0;
      } catch (thrown) {
        const error = MeridianError.from(thrown);
        if (error.code === "CORRUPT") this.#doubt(error);
        else if (error.retry === "never") this.#end(error);
        if (error.retry === "never" || this.#session !== session) return;
        await this.#pause(failures, signal);
        failures += 1;
      }
    }
  }

  #fetched(answer: Fetched["answer"]): void {
    const intake = this.#intakeNow();
    const { tipSeq } = intake;
    if (answer.case === "entries") this.#accept(answer.value.batches, false);
    if (answer.case === "notYet") this.#metHead({ seq: Number(answer.value.seq), hash: hashFromBytes(answer.value.hash) });
    if (answer.case === "truncatedAt") this.#free(intake.jump("truncated", Number(answer.value)));
    if (answer.case === "error") throw fromErrorDetail(answer.value);
    this.#isFillIdle = intake.tipSeq === tipSeq;
    this.#options.onNews();
  }

  #pause(tries: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    return sleep(clock, backoffMs(tries, PAUSE, random.u32()), signal);
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
