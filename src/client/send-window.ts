/**
 * The sends of one producer in one conversation that have no outcome yet, in the order of their counters (G6, G7).
 *
 * What can go wrong is always the same: something was sent, and no answer came. The tempting ideas: to resend only what is
 * missing (then a later message overtakes an earlier one), or to number again what is resent (then a late copy of the
 * first try is a second message). The idea used: a counter is given out once, when a message first goes on the wire, and
 * belongs to it for ever; the wire always carries counters in rising order, so after any failure the window waits until
 * everything under way is answered, and begins again at the lowest counter without an outcome. Servers recognise what they
 * have had. A counter cannot be left out, so giving a message up means to send a *skip* in its place: whichever of the two
 * comes first takes the seq, and the answer tells which.
 *
 * Three ends of a message follow from what is known about its tries. Its first and only try was refused: it will never be
 * accepted, `rejected`; its counter is free again if no later one is in use, else a skip fills it. A skip was committed in
 * its place: `expired`. Anything else that is not `committed` is `unknown`: the skip goes on being sent, because later
 * messages cannot pass it, but the sender is not kept waiting for it.
 */
import type { OutcomeRun } from "../gen/meridian/v1/client_pb.ts";
import { fromErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { Alarm } from "./alarm.ts";
import { bytesOf, chunkOf, itemOf } from "./chunk.ts";
import { formatRetryKey } from "./outcome.ts";
import { PendingSend } from "./pending-send.ts";
import { Pump } from "./pump.ts";
import type { SeenIds } from "./seen-ids.ts";
import type { SendQueue } from "./send-queue.ts";
import type { Session } from "./session.ts";

export interface WindowOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly seen: SeenIds;
  readonly queue: SendQueue;
  readonly sender: string;
  readonly conversation: string;
  /** The first counter to give out. */
  readonly firstCounter: number;
  /** The counters below are another process's: where the leader wants one of them first, it is given up too. */
  readonly isForeign: boolean;
  /** The producer id is of no more use here. Every counter has been settled; `waiting` never was on the wire. */
  readonly onExpired: (waiting: readonly PendingSend[], error: MeridianError) => void;
  readonly onIdle: () => void;
}

const NOBODY: readonly PendingSend[] = [];

export class SendWindow {
  readonly #options: WindowOptions;
  /** By counter; without an outcome, except for refused ones that still need their skip. */
  readonly #sent = new Map<number, PendingSend>();
  /** Not yet on the wire. */
  #waiting: PendingSend[] = [];
  #next: number;
  #producer = 0n;
  #session: Session | undefined;
  /** The last counter of each submit whose answers are not complete. */
  #frames: number[] = [];
  /** Some counter is to be submitted again. */
  #isBehind = false;
  /** Some send in the window may be unused: it is rare, and nobody looks for them otherwise. */
  #hasUnused = false;
  readonly #aborted: PendingSend[] = [];
  /** Since when nothing was answered, while something awaits its answer. */
  #silentSinceMs: number | undefined;
  readonly #alarm: Alarm;
  readonly #pump: Pump;

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#next = options.firstCounter;
    this.#alarm = new Alarm(options.clock, () => this.#checkDeadlines());
    this.#pump = new Pump({ ...options, run: () => this.#submitWhatMayGo() });
  }

  get isIdle(): boolean {
    return this.#sent.size === 0 && this.#waiting.length === 0;
  }

  /** The producer is open in this session: what has no outcome is submitted again, in order. */
  resume(session: Session, producer: bigint): void {
    this.#session = session;
    this.#producer = producer;
    this.#pump.endPause();
    this.#submitWhatMayGo();
  }

  /** The session is over: of what was under way nothing is known. */
  suspend(): void {
    this.#session = undefined;
    this.#frames = [];
    this.#silentSinceMs = undefined;
    for (const send of this.#sent.values()) {
      if (send.awaiting > 0) send.isUnused = false;
      send.awaiting = 0;
    }
    this.#isBehind = this.#sent.size > 0;
  }

  /** The caller has made room in the queue. */
  add(send: PendingSend): void {
    send.window = this;
    this.#waiting.push(send);
    this.#alarm.ringBy(send.deadlineMs);
    this.#submitSoon();
  }

  /** Ends a send that its caller no longer wants. One signal may end thousands: they are ended together. */
  abort(send: PendingSend, reason: MeridianError): void {
    send.reason = reason;
    if (this.#aborted.push(send) > 1) return;
    queueMicrotask(() => {
      const aborted = this.#aborted.splice(0);
      const isHere = ({ window }: PendingSend) => window === this;
      this.giveUp(aborted.filter(isHere), reason);
      for (const moved of aborted) if (!isHere(moved)) moved.window?.abort(moved, reason);
    });
  }

  /** Ends sends that are no longer wanted, or that have tried for long enough. */
  giveUp(sends: readonly PendingSend[], reason: MeridianError): void {
    const live = sends.filter((send) => send.isAwaited && !send.isSkip);
    this.#endWaiting(new Set(live.filter((send) => send.counter === 0)), "expired", reason);
    const skips = live.filter((send) => send.counter !== 0);
    for (const send of skips) {
      send.reason ??= reason;
      this.#becomeSkip(send);
    }
    this.#submitSkips(skips);
    this.#checkIdle();
  }

  /** Settles an unknown outcome: whatever stands at this counter, or else a skip. */
  resolve(counter: number, deadlineMs: number): PendingSend {
    if (counter >= this.#next && !this.#options.isForeign) {
      throw new MeridianError("INVALID_ARGUMENT", "no send of this client had this retry key");
    }
    const known = this.#sent.get(counter);
    const send = known ?? this.#fill(counter);
    if (known !== undefined && !known.isSkip) return known;
    send.deadlineMs = deadlineMs;
    this.#alarm.ringBy(deadlineMs);
    if (send.awaiting === 0) this.#submitSkips([send]);
    return send;
  }

  /** What the node says became of submits. */
  outcomes(runs: readonly OutcomeRun[]): void {
    const refusals: [PendingSend, MeridianError][] = [];
    const answered = { messages: 0, bytes: 0 };
    for (const { counter, count, fate } of runs) {
      const first = Number(counter);
      for (let i = 0; i < count; i += 1) {
        const send = this.#sent.get(first + i);
        if (send === undefined) continue;
        const awaited = send.awaiting;
        if (awaited > 0) {
          send.awaiting -= 1;
          answered.messages += 1;
          answered.bytes += send.bytes;
        }
        if (fate.case === "placed" || fate.case === "skipped") {
          this.#place(send, fate.case, Number(fate.value.seq) + i, fate.value.id + BigInt(i));
        } else if (fate.case === "error" && awaited > 0) {
          refusals.push([send, fromErrorDetail(fate.value)]);
        }
      }
    }
    this.#session?.answered(answered.messages, answered.bytes);
    for (const [send, error] of refusals) if (this.#sent.get(send.counter) === send) this.#refuse(send, error);
    this.#giveBackOrFill();
    const lowest = this.#lowestAwaiting();
    this.#frames = this.#frames.filter((last) => last >= lowest);
    this.#silentSinceMs = lowest === Number.POSITIVE_INFINITY ? undefined : this.#options.clock.monotonicMs();
    this.#checkIdle();
    this.#submitSoon();
  }

  /** The client closes, or has no producer: nothing more is tried. */
  close(waitingOutcome: "expired" | "rejected", error: MeridianError): void {
    this.#endWaiting(new Set(this.#waiting), waitingOutcome, error);
    this.#settleSentUnknown();
    this.#session = undefined;
    this.#checkIdle();
  }

  /** The producer id was forgotten: what was tried may stand in the log, the rest goes on under another id. */
  expire(error: MeridianError): void {
    this.#settleSentUnknown();
    this.#session = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#checkIdle();
    this.#options.onExpired(waiting, error);
  }

  #place(send: PendingSend, fate: "placed" | "skipped", seq: number, id: bigint): void {
    this.#forget(send);
    this.#pump.succeeded();
    this.#options.seen.saw(id);
    if (fate === "placed") {
      send.settle({ status: "committed", seq, id });
    } else {
      const error =
        send.reason ?? new MeridianError("UNAVAILABLE", "the send was given up by its retry key before it was accepted");
      send.settle({ status: "expired", error });
    }
    // The leader takes counters in order: what was refused below this one has been filled already.
    for (const other of this.#unused()) if (other.counter < send.counter) this.#forget(other);
  }

  #refuse(send: PendingSend, error: MeridianError): void {
    if (error.code === "PRODUCER_EXPIRED") return this.expire(error);
    if (error.code === "COUNTER_GAP") return this.#closeGap(send, error);
    if (error.code === "PRODUCER_CONFLICT") {
      // The counter is taken by another message: this one cannot get it, and there is nothing left to skip.
      this.#forget(send);
      return send.settle(send.tries === 1 && !send.isSkip ? { status: "rejected", error } : this.#unknown(send));
    }
    send.told = error;
    if (error.retry !== "never") send.isUnused = false;
    else if (send.tries === 1 && !send.isSkip) {
      send.isUnused = true;
      this.#hasUnused = true;
      return send.settle({ status: "rejected", error });
    } else if (!send.isSkip) {
      send.reason = error;
      this.#becomeSkip(send);
    }
    this.#tryAgain();
  }

  /** The leader has not had a counter before this one. Usually it is under way or to be sent again: the order mends it. */
  #closeGap(send: PendingSend, error: MeridianError): void {
    const wanted = Number(error.details.wanted);
    // What it wants may have taken a longer way, and have had its outcome while this answer was under way.
    const isOurs = Number.isNaN(wanted) || this.#sent.has(wanted) || wanted >= send.settledBelow;
    const missing = send.counter - wanted;
    if (!isOurs && this.#options.isForeign && missing <= LIMITS.producerInFlight) {
      for (let counter = wanted; counter < send.counter; counter += 1) if (!this.#sent.has(counter)) this.#fill(counter);
    } else if (!isOurs) {
      // It asks for something that had its outcome before this was submitted: this log does not know us.
      return this.expire(error);
    }
    this.#tryAgain();
  }

  /** Enters a skip for a counter that is not in the window any more. */
  #fill(counter: number): PendingSend {
    const skip = new PendingSend({ payload: new Uint8Array(), key: new Uint8Array() }, Number.POSITIVE_INFINITY);
    skip.counter = counter;
    skip.isSkip = true;
    skip.window = this;
    this.#sent.set(counter, skip);
    this.#isBehind = true;
    return skip;
  }

  #becomeSkip(send: PendingSend): void {
    send.isSkip = true;
    send.deadlineMs = this.#options.clock.monotonicMs() + LIMITS.giveUpMs;
    this.#alarm.ringBy(send.deadlineMs);
  }

  #tryAgain(): void {
    this.#isBehind = true;
    this.#pump.pause();
  }

  /** Free counters at the end are given out again; a free one with others above it is filled by a skip. */
  #giveBackOrFill(): void {
    for (
      let last = this.#sent.get(this.#next - 1);
      last?.isUnused && last.awaiting === 0;
      last = this.#sent.get(this.#next - 1)
    ) {
      this.#forget(last);
      this.#next = last.counter;
    }
    const unused = this.#unused();
    this.#hasUnused = unused.length > 0;
    const holes = unused.filter((send) => !send.isSkip && send.awaiting === 0);
    for (const hole of holes) hole.isSkip = true;
    this.#submitSkips(holes);
  }

  #unused(): readonly PendingSend[] {
    return this.#hasUnused ? [...this.#sent.values()].filter((send) => send.isUnused) : NOBODY;
  }

  #submitSoon(): void {
    if (this.#session === undefined || this.#pump.isDue) return;
    this.#pump.soon(this.#lowestAwaiting() === Number.POSITIVE_INFINITY);
  }

  #submitWhatMayGo(): void {
    while (this.#session !== undefined && !this.#pump.isPaused && this.#frames.length < LIMITS.submitsInFlight) {
      if (this.#session.blocked !== undefined) return this.#pump.after(this.#session.blocked);
      const chunk = this.#isBehind ? this.#takeBehind() : this.#takeWaiting();
      const last = chunk.at(-1);
      if (last === undefined) return;
      this.#submit(this.#session, chunk);
      this.#frames.push(last.counter);
    }
  }

  /** The next counters to submit again; none while later ones are under way, so that the wire keeps the order. */
  #takeBehind(): PendingSend[] {
    const sends = [...this.#sent.values()].sort((a, b) => a.counter - b.counter);
    const from = sends.findIndex((send) => send.awaiting === 0);
    if (from < 0) {
      this.#isBehind = false;
      return this.#takeWaiting();
    }
    if (sends.slice(from).some((send) => send.awaiting > 0)) return [];
    for (const send of sends.slice(from)) {
      if (send.isSkip || send.tries < LIMITS.sendTries) continue;
      send.reason = tooManyTries(send.told);
      this.#becomeSkip(send);
    }
    return chunkOf(sends.slice(from));
  }

  #takeWaiting(): PendingSend[] {
    // Skips that were asked for come on top, so there may be less than no room.
    const room = Math.max(0, LIMITS.producerInFlight - this.#sent.size);
    const chunk = chunkOf(this.#waiting.slice(0, Math.min(room, LIMITS.batchMessages)));
    this.#waiting.splice(0, chunk.length);
    for (const send of chunk) {
      this.#options.queue.leave(send);
      send.counter = this.#next;
      this.#next += 1;
      this.#sent.set(send.counter, send);
    }
    return chunk;
  }

  /** Skips need no turn: whatever is under way, they only answer for their own counters. */
  #submitSkips(skips: readonly PendingSend[]): void {
    if (skips.length === 0) return;
    if (this.#session === undefined) {
      this.#isBehind = true;
      return;
    }
    const rest = [...skips].sort((a, b) => a.counter - b.counter);
    while (rest.length > 0) this.#submit(this.#session, rest.splice(0, chunkOf(rest).length));
  }

  #submit(session: Session, sends: readonly PendingSend[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    const lowest = this.#lowest();
    for (const send of sends) {
      if (send.awaiting === 0) send.settledBelow = lowest;
      send.awaiting += 1;
      if (!send.isSkip) send.tries += 1;
    }
    this.#silentSinceMs ??= nowMs;
    this.#alarm.ringBy(nowMs + LIMITS.answerWaitMs);
    const submit = {
      producer: this.#producer,
      conversation: this.#options.conversation,
      firstCounter: BigInt((sends[0] as PendingSend).counter),
      items: sends.map(itemOf),
      aboveId: this.#options.seen.max,
    };
    session.submit(submit, bytesOf(sends));
  }

  /** The lowest counter in the window: all below it have had their outcome. Those that were filled in do not stand in order. */
  #lowest(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const counter of this.#sent.keys()) if (counter < lowest) lowest = counter;
    return lowest;
  }

  /** The lowest counter that awaits an answer, or infinity. Answers come in order, so it is found at once. */
  #lowestAwaiting(): number {
    for (const send of this.#sent.values()) if (send.awaiting > 0) return send.counter;
    return Number.POSITIVE_INFINITY;
  }

  #unknown(send: PendingSend) {
    const { sender, conversation } = this.#options;
    const key = { sender, producer: this.#producer, conversation, counter: send.counter };
    return { status: "unknown", retryKey: formatRetryKey(key) } as const;
  }

  /** The send has left the window: answers about it that may still come are of no account. */
  #forget(send: PendingSend): void {
    this.#sent.delete(send.counter);
    if (send.awaiting > 0) this.#session?.answered(send.awaiting, send.awaiting * send.bytes);
    send.awaiting = 0;
  }

  #settleSentUnknown(): void {
    for (const send of this.#sent.values()) {
      this.#forget(send);
      send.settle(this.#unknown(send));
    }
    this.#isBehind = false;
    this.#pump.endPause();
  }

  #endWaiting(sends: ReadonlySet<PendingSend>, status: "expired" | "rejected", error: MeridianError): void {
    if (sends.size === 0) return;
    this.#waiting = this.#waiting.filter((send) => !sends.has(send));
    for (const send of sends) {
      this.#options.queue.leave(send);
      send.settle({ status, error: send.reason ?? error });
    }
  }

  #checkIdle(): void {
    if (!this.isIdle) return;
    this.#alarm.off();
    this.#options.onIdle();
  }

  #checkDeadlines(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const late = [...this.#waiting, ...this.#sent.values()].filter((send) => send.isAwaited && send.deadlineMs <= nowMs);
    for (const send of late) if (send.isSkip) send.settle(this.#unknown(send));
    this.giveUp(late, new MeridianError("UNAVAILABLE", "the send had no outcome before its deadline"));
    const answerDueMs = this.#silentSinceMs === undefined ? Number.POSITIVE_INFINITY : this.#silentSinceMs + LIMITS.answerWaitMs;
    if (answerDueMs <= nowMs) {
      this.#session?.end(new MeridianError("UNAVAILABLE", `the node has left sends unanswered for ${LIMITS.answerWaitMs} ms`));
    } else {
      this.#alarm.ringBy(answerDueMs);
    }
    for (const send of [...this.#waiting, ...this.#sent.values()]) if (send.isAwaited) this.#alarm.ringBy(send.deadlineMs);
  }
}

function tooManyTries(told: MeridianError | undefined): MeridianError {
  const message = `the send was given up after ${LIMITS.sendTries} tries`;
  if (told === undefined) return new MeridianError("UNAVAILABLE", message);
  return new MeridianError("UNAVAILABLE", `${message}; the last one was told: ${told.message}`, {
    advice: told.advice,
    cause: told,
  });
}
