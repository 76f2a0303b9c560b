import { MeridianError } from "../kernel/errors.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator, Header, LeaseAnswer, LeaseId, Txn, TxnAnswer } from "../ports/coordinator.ts";
import type { Telemetry } from "../ports/telemetry.ts";

export interface CallsOptions {
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Milliseconds that a call may take; beyond it its outcome is unknown. */
  readonly deadlineMs: number;
}

/**
 * Calls to the coordinator, each with its own deadline. Revisions may be compared only inside an *era*: one cluster id and
 * one incarnation. An answer from another era, or one that shows that revisions went back, proves nothing: it is "unknown".
 */
export class Calls {
  readonly #options: CallsOptions;
  #era: { readonly cluster: string; readonly incarnation: number } | undefined;
  /** The highest revision of the era that any answer showed: a linearizable read that is sent later shows no lower one. */
  #floor = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  get floor(): number {
    return this.#floor;
  }

  /**
   * Goes on in this era or begins it; answers whether it is a new one. What was remembered of the former is void then.
   * `floor` is what it was when the read was sent that showed this header: other answers may have overtaken this one.
   * Throws CORRUPT when the coordinator's revision went back inside an era.
   */
  enter(header: Header, incarnation: number, floor: number): boolean {
    const { cluster, revision } = header;
    const began = this.#era?.cluster !== cluster || this.#era.incarnation !== incarnation;
    if (!began && revision < floor) throw rewound(`its revision went from ${floor} back to ${revision}`);
    if (began) this.#era = { cluster, incarnation };
    this.#floor = began ? revision : Math.max(this.#floor, revision);
    return began;
  }

  /** Never throws. A transaction without guards, puts and deletes must have a range: etcd reads an empty one from one member. */
  async txn(what: string, txn: Txn, withinMs = Number.POSITIVE_INFINITY): Promise<TxnAnswer> {
    const era = this.#era;
    const floor = this.#floor;
    const answer = await this.survey(what, txn, withinMs);
    if (!("header" in answer)) return answer;
    const { cluster, revision } = answer.header;
    if (era === this.#era && cluster === era?.cluster && revision >= floor) {
      this.#floor = Math.max(this.#floor, revision);
      return answer;
    }
    if (revision < floor && cluster === era?.cluster) {
      this.#options.telemetry.log("error", "coordinator.rewound", { what, revision, floor });
    }
    return {
      status: "unknown",
      cause: new MeridianError("UNAVAILABLE", `${what}: the answer is of another past of the coordinator`),
    };
  }

  /** As `txn`, whatever the era: to find out which it is. */
  async survey(what: string, txn: Txn, withinMs = Number.POSITIVE_INFINITY): Promise<TxnAnswer> {
    try {
      return await this.#bounded(what, this.#options.coordinator.txn(txn), withinMs);
    } catch (thrown) {
      const cause = MeridianError.from(thrown);
      if (cause.code !== "UNAVAILABLE") {
        this.#options.telemetry.log("error", "coordinator.failed", { what, code: cause.code, message: cause.message });
      }
      return { status: "unknown", cause };
    }
  }

  /** Throws UNAVAILABLE. */
  async grant(ttlMs: number): Promise<LeaseAnswer> {
    const era = this.#era;
    const answer = await this.#bounded("granting a lease", this.#options.coordinator.grant(ttlMs));
    if (era === undefined || era !== this.#era || answer.header.cluster !== era.cluster) throw otherCluster("granting a lease");
    return answer;
  }

  /** Throws UNAVAILABLE. */
  async renew(lease: LeaseId, withinMs: number): Promise<LeaseAnswer> {
    const era = this.#era;
    const answer = await this.#bounded("renewing the lease", this.#options.coordinator.renew(lease), withinMs);
    if (era !== this.#era || answer.lease !== lease || !this.heard(answer.header)) throw otherCluster("renewing the lease");
    return answer;
  }

  /** Throws UNAVAILABLE when the outcome is unknown. */
  revoke(lease: LeaseId): Promise<void> {
    return this.#bounded("revoking the lease", this.#options.coordinator.revoke(lease));
  }

  /** Is an answer of this cluster? Then its revision was reached. */
  heard(header: Header): boolean {
    if (header.cluster !== this.#era?.cluster) return false;
    this.#floor = Math.max(this.#floor, header.revision);
    return true;
  }

  #bounded<T>(what: string, work: Promise<T>, withinMs = Number.POSITIVE_INFINITY): Promise<T> {
    return withDeadline(this.#options.clock, Math.max(0, Math.min(this.#options.deadlineMs, withinMs)), what, work);
  }
}

/** The coordinator shows an older state than one that was already acted upon: nobody may lead on it. */
export function rewound(how: string): MeridianError {
  return new MeridianError("CORRUPT", `the coordinator was rewound: ${how}`, {
    advice:
      "It was restored from a backup or lost its data. Stop all nodes and raise the incarnation, as docs/operating.md says.",
  });
}

function otherCluster(what: string): MeridianError {
  return new MeridianError("UNAVAILABLE", `${what}: another cluster, or for another lease, answered`);
}
