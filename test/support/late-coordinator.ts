import { Deferred } from "../../src/kernel/deferred.ts";
import { MeridianError } from "../../src/kernel/errors.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { BoundedQueue } from "../../src/kernel/queue.ts";
import { sleep } from "../../src/kernel/timing.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Coordinator, Header, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchAnswer } from "../../src/ports/coordinator.ts";

/** What becomes of a transaction whose answer is lost. `applyAfterMs` 0: it is applied at once. held: when the test says so. */
export type Fate = { readonly applyAfterMs: number } | { readonly never: true } | { readonly held: true };

export interface LoseOptions {
  /** Only a transaction for which this is true is lost; default: any, reads included. */
  readonly when?: (txn: Txn) => boolean;
  /** How long the caller waits for its "unknown"; default 0. */
  readonly answerAfterMs?: number;
}

/** A transaction that was or will be lost. */
export interface LostTxn {
  /** The caller has sent it. */
  readonly sent: Promise<Txn>;
  /** It has reached the coordinator, which answered this; nobody was told. */
  readonly landed: Promise<TxnAnswer>;
  /** Lets a held transaction reach the coordinator now. */
  land(): Promise<TxnAnswer>;
}

/** A transaction that the node sent, in the order of sending. */
export interface SentTxn {
  readonly txn: Txn;
  readonly sentAtMs: number;
  /** cut: it never left the node. lost: its answer was or will be "unknown". */
  readonly course: "passed" | "lost" | "cut";
  /** What the coordinator made of it, known once it was there: the caller may have been told otherwise. */
  answer?: TxnAnswer;
}

interface Plan {
  readonly fate: Fate;
  readonly when: (txn: Txn) => boolean;
  readonly answerAfterMs: number;
  readonly sent: Deferred<Txn>;
  readonly landed: Deferred<TxnAnswer>;
  deliver: (() => void) | undefined;
}

/**
 * One node's way to a coordinator, as bad as a test wants it: transactions lose their answers and land late or never, the
 * node is cut off, renewals fail, requests and answers take time. With nothing ordered it changes nothing.
 */
export class LateCoordinator implements Coordinator {
  readonly #inner: Coordinator;
  readonly #clock: Clock;
  readonly #plans: Plan[] = [];
  readonly #sent: SentTxn[] = [];
  readonly #watches = new Set<(error: MeridianError) => void>();
  readonly #observers: ((txn: Txn) => void)[] = [];
  #cut = false;
  /** Counts the cuts: an answer that was under way during one is lost, even if it is healed already. */
  #cuts = 0;
  #requestMs = 0;
  #answerMs = 0;
  #renewals: "pass" | "lost" | "unanswered" = "pass";
  #rewrite: (header: Header) => Header = (header) => header;

  constructor(inner: Coordinator, clock: Clock) {
    this.#inner = inner;
    this.#clock = clock;
  }

  /** All transactions so far. */
  get sent(): readonly SentTxn[] {
    return this.#sent;
  }

  /** Calls `seen` with each transaction when it is sent, before anything becomes of it. */
  observe(seen: (txn: Txn) => void): void {
    this.#observers.push(seen);
  }

  /** Loses the answer of the next transaction that fits. Several orders are used up in their order. */
  loseNext(fate: Fate, options: LoseOptions = {}): LostTxn {
    const plan: Plan = {
      fate,
      when: options.when ?? (() => true),
      answerAfterMs: options.answerAfterMs ?? 0,
      sent: new Deferred(),
      landed: new Deferred(),
      deliver: undefined,
    };
    this.#plans.push(plan);
    const land = () => {
      if (plan.deliver === undefined) throw new Error("the transaction has not been sent yet, or has landed, or never will");
      plan.deliver();
      return plan.landed.promise;
    };
    return { sent: plan.sent.promise, landed: plan.landed.promise, land };
  }

  /** Nothing goes through any more, answers under way are lost, open watches throw. Lost transactions still land. */
  cut(): void {
    this.#cut = true;
    this.#cuts += 1;
    for (const sever of [...this.#watches]) sever(unavailable("the node was cut off"));
  }

  heal(): void {
    this.#cut = false;
  }

  /** lost: renewals do not arrive. unanswered: they take effect, but their answers are lost. pass: all is well again. */
  renewals(mode: "pass" | "lost" | "unanswered"): void {
    this.#renewals = mode;
  }

  /** From now on requests, and answers (of watches too), take this long. */
  delay(times: { readonly requestMs?: number; readonly answerMs?: number }): void {
    this.#requestMs = times.requestMs ?? 0;
    this.#answerMs = times.answerMs ?? 0;
  }

  /** Changes the header of every later answer: another raft term or cluster, a revision that goes back. */
  rewriteHeaders(rewrite: (header: Header) => Header): void {
    this.#rewrite = rewrite;
  }

  async grant(ttlMs: number): Promise<LeaseAnswer> {
    const answer = await this.#carry(() => this.#inner.grant(ttlMs));
    return { ...answer, header: this.#rewrite(answer.header) };
  }

  async renew(lease: LeaseId): Promise<LeaseAnswer> {
    const mode = this.#renewals;
    if (mode === "lost") throw unavailable("the renewal was lost");
    const answer = await this.#carry(() => this.#inner.renew(lease));
    if (mode === "unanswered") throw unavailable("the renewal's answer was lost");
    return { ...answer, header: this.#rewrite(answer.header) };
  }

  async revoke(lease: LeaseId): Promise<void> {
    await this.#carry(() => this.#inner.revoke(lease));
  }

  async txn(txn: Txn): Promise<TxnAnswer> {
    for (const seen of this.#observers) seen(txn);
    const at = this.#cut ? -1 : this.#plans.findIndex((plan) => plan.when(txn));
    const [plan] = at < 0 ? [] : this.#plans.splice(at, 1);
    const course = this.#cut ? "cut" : plan === undefined ? "passed" : "lost";
    const sent: SentTxn = { txn, sentAtMs: this.#clock.monotonicMs(), course };
    this.#sent.push(sent);
    if (plan !== undefined) return this.#lose(plan, sent);
    try {
      const answer = await this.#carry(async () => {
        sent.answer = await this.#inner.txn(txn);
        return sent.answer;
      });
      return "header" in answer ? { ...answer, header: this.#rewrite(answer.header) } : answer;
    } catch (error) {
      if (error instanceof MeridianError && error.code === "UNAVAILABLE") return { status: "unknown", cause: error };
      throw error;
    }
  }

  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    return { [Symbol.asyncIterator]: () => this.#watch(prefix, fromRevision) };
  }

  async #carry<T>(call: () => Promise<T>): Promise<T> {
    const cuts = this.#cuts;
    const check = () => {
      if (this.#cut || this.#cuts !== cuts) throw unavailable("the node is cut off");
    };
    check();
    if (this.#requestMs > 0) await sleep(this.#clock, this.#requestMs);
    check();
    const answer = await call();
    if (this.#answerMs > 0) await sleep(this.#clock, this.#answerMs);
    check();
    return answer;
  }

  async #lose(plan: Plan, sent: SentTxn): Promise<TxnAnswer> {
    plan.sent.resolve(sent.txn);
    if (!("never" in plan.fate)) {
      plan.deliver = () => {
        plan.deliver = undefined;
        this.#inner.txn(sent.txn).then((answer) => {
          sent.answer = answer;
          plan.landed.resolve(answer);
        }, plan.landed.reject);
      };
    }
    if ("applyAfterMs" in plan.fate) {
      if (plan.fate.applyAfterMs === 0) plan.deliver?.();
      else this.#clock.after(plan.fate.applyAfterMs, () => plan.deliver?.());
    }
    if (plan.answerAfterMs > 0) await sleep(this.#clock, plan.answerAfterMs);
    return { status: "unknown", cause: unavailable("the transaction's answer was lost") };
  }

  #watch(prefix: string, fromRevision: number): AsyncIterator<WatchAnswer, void, undefined> {
    const inner = this.#inner.watch(prefix, fromRevision)[Symbol.asyncIterator]();
    const queue = new BoundedQueue<WatchAnswer>(LIMITS.coordinatorWatchQueue);
    const release = async (error?: MeridianError) => {
      this.#watches.delete(sever);
      queue.close(error);
      await inner.return?.();
    };
    const sever = (error: MeridianError) => void release(error);
    this.#watches.add(sever);
    if (this.#cut) sever(unavailable("the node is cut off"));
    else void this.#pump(inner, queue, release);
    const steps = queue[Symbol.asyncIterator]();
    return {
      next: () => steps.next(),
      return: async () => {
        await release();
        return { done: true, value: undefined };
      },
    };
  }

  /** Carries a watch's answers over, each after its delay; what ends the watch is told through the queue. */
  async #pump(
    inner: AsyncIterator<WatchAnswer>,
    queue: BoundedQueue<WatchAnswer>,
    release: (error?: MeridianError) => Promise<void>,
  ): Promise<void> {
    try {
      for (let step = await inner.next(); step.done !== true; step = await inner.next()) {
        if (this.#answerMs > 0) await sleep(this.#clock, this.#answerMs);
        if (queue.push({ ...step.value, header: this.#rewrite(step.value.header) })) continue;
        throw new MeridianError("TRUNCATED", "the watch's loop is too slow, or has been left");
      }
    } catch (error) {
      await release(MeridianError.from(error));
    }
  }
}

function unavailable(message: string): MeridianError {
  return new MeridianError("UNAVAILABLE", message);
}
