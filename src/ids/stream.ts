import { LIMITS } from "../kernel/limits.ts";
import { ID_EPOCH_MS, type IdLayout } from "./layout.ts";
import type { WorkerLease, WorkerLook } from "./worker-lease.ts";

export interface StreamRequest {
  readonly count: number;
  /** The ids are larger than these. */
  readonly floors: readonly bigint[];
  /** The ids have at least this time… */
  readonly nowMs: number;
  /** …and at most this one; milliseconds of UTC. */
  readonly limitMs: number;
}

/** early: the ids would lie `byMs` above the limit; `own`: because of ids that the stream gave out itself. */
export type StreamAnswer =
  | { readonly kind: "block"; readonly first: bigint }
  | { readonly kind: "early"; readonly byMs: number; readonly own: boolean }
  | { readonly kind: "fenced"; readonly untilMs: number }
  | Exclude<WorkerLook, { kind: "held" }>;

/**
 * The growing ids of one worker number. Its place is two numbers, the millisecond and the counter: bigint arithmetic would
 * be the dearest part of an id, so there is one composition a block.
 */
export class IdStream {
  readonly #layout: IdLayout;
  readonly #lease: WorkerLease;
  #tenancy: object | undefined;
  #utcMs = 0;
  #counter = 0;

  constructor(layout: IdLayout, lease: WorkerLease) {
    this.#layout = layout;
    this.#lease = lease;
  }

  /** `count` consecutive ids, all of one millisecond. Nothing is used up by another answer than a block. */
  take({ count, floors, nowMs, limitMs }: StreamRequest): StreamAnswer {
    const look = this.#lease.look();
    if (look.kind !== "held") return look;
    const { worker, startMs, untilMs, tenancy } = look.number;
    if (tenancy !== this.#tenancy) this.#begin(tenancy, startMs);
    const own = this.#utcMs - limitMs > LIMITS.idWaitMs;
    let utcMs = this.#utcMs;
    let counter = this.#counter;
    const go = (toMs: number) => {
      utcMs = toMs;
      counter = 0;
    };
    if (nowMs > utcMs) go(nowMs);
    for (const above of floors) {
      const floor = this.#layout.decompose(above);
      if (floor.utcMs > utcMs) go(floor.utcMs);
      const isAbove = worker > floor.worker || (worker === floor.worker && counter > floor.counter);
      if (floor.utcMs === utcMs && !isAbove) go(utcMs + 1);
    }
    if (counter + count > this.#layout.counters) go(utcMs + 1);
    if (utcMs > limitMs) return { kind: "early", byMs: utcMs - limitMs, own };
    if (utcMs > untilMs) return { kind: "fenced", untilMs: utcMs };
    this.#utcMs = utcMs;
    this.#counter = counter + count;
    return { kind: "block", first: this.#layout.compose({ utcMs, worker, counter }) };
  }

  /** Above all ids that former holders of the number may have made. */
  #begin(tenancy: object, startMs: number): void {
    this.#tenancy = tenancy;
    this.#utcMs = Math.max(startMs, ID_EPOCH_MS);
    this.#counter = 0;
  }
}
