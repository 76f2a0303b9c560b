import type { Coordinator, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchAnswer } from "../../../src/ports/coordinator.ts";

/** A coordinator whose answers a test may change, each kind by itself: what a deposed or restored etcd would say. */
export class DoctoredCoordinator implements Coordinator {
  #inner: Coordinator;
  granted: (answer: LeaseAnswer) => LeaseAnswer | Promise<LeaseAnswer> = (answer) => answer;
  /** Answered in place of the coordinator, which keeps the lease as it is: what a deposed leader does. */
  renewedInstead: (lease: LeaseId) => LeaseAnswer | undefined = () => undefined;
  renewed: (answer: LeaseAnswer) => LeaseAnswer | Promise<LeaseAnswer> = (answer) => answer;
  answered: (answer: TxnAnswer, txn: Txn) => TxnAnswer | Promise<TxnAnswer> = (answer) => answer;
  /** Answered in place of the coordinator, which never sees the transaction. */
  instead: (txn: Txn) => TxnAnswer | undefined = () => undefined;
  watched: (answer: WatchAnswer) => WatchAnswer = (answer) => answer;
  /** The revisions from which watches were begun. */
  readonly cursors: number[] = [];

  constructor(inner: Coordinator) {
    this.#inner = inner;
  }

  /** From now on another key space answers: the one that was restored. */
  switchTo(inner: Coordinator): void {
    this.#inner = inner;
  }

  async grant(ttlMs: number): Promise<LeaseAnswer> {
    return this.granted(await this.#inner.grant(ttlMs));
  }

  async renew(lease: LeaseId): Promise<LeaseAnswer> {
    return this.renewedInstead(lease) ?? this.renewed(await this.#inner.renew(lease));
  }

  revoke(lease: LeaseId): Promise<void> {
    return this.#inner.revoke(lease);
  }

  async txn(txn: Txn): Promise<TxnAnswer> {
    return this.instead(txn) ?? this.answered(await this.#inner.txn(txn), txn);
  }

  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    this.cursors.push(fromRevision);
    const inner = this.#inner.watch(prefix, fromRevision);
    return {
      [Symbol.asyncIterator]: () => {
        const answers = inner[Symbol.asyncIterator]();
        return {
          next: async () => {
            const step = await answers.next();
            return step.done === true ? step : { done: false, value: this.watched(step.value) };
          },
          return: async () => (await answers.return?.()) ?? { done: true, value: undefined },
        };
      },
    };
  }
}
