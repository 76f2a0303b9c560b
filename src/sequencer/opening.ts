/**
 * How a conversation gets its leader on this node (R6–R8): the right to lead it (a tenure), then its state from the log,
 * then its tail written again, then the look; only after that a leader answers anybody.
 *
 * A conversation may be opened only once per epoch: a second opening would read the log while batches of the first are
 * still on their way, and give their seqs to others under the same epoch. So the node keeps a ledger: what was opened or
 * continued under each claim and has not been put aside since. Whoever finds his conversation in the ledger without a live
 * leader is in doubt, and takes a new epoch first. A checkpoint alone never shows that a conversation was idle: it is
 * written while its leader goes on.
 */
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { sleep } from "../kernel/timing.ts";
import type { Batch, Watermark } from "../log/batch.ts";
import type { Claim } from "../membership/claim.ts";
import type { Tenure } from "../membership/tenure.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogStore, StoredCheckpoint } from "../ports/log-store.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Opening } from "./leader.ts";
import { writeUntilCommitted } from "./pipeline.ts";
import { continueFrom, recover } from "./recovery.ts";

const REPEAT = { firstMs: 20, maxMs: 1_000 };
/** Each round gives the conversation a new epoch; more than a few mean that somebody else is doing the same. */
const ROUNDS_MAX = 5;

/** R8: which conversations were opened or continued under a claim, with the epoch, and not put aside since. */
export class Ledger {
  readonly #byClaim = new Map<Claim, Map<string, bigint>>();

  inDoubt(tenure: Tenure): boolean {
    return this.#byClaim.get(tenure.claim)?.get(tenure.conversation) === tenure.epoch;
  }

  enter(tenure: Tenure): void {
    const entries = this.#byClaim.get(tenure.claim) ?? new Map<string, bigint>();
    entries.set(tenure.conversation, tenure.epoch);
    this.#byClaim.set(tenure.claim, entries);
  }

  strike(tenure: Tenure): void {
    const entries = this.#byClaim.get(tenure.claim);
    entries?.delete(tenure.conversation);
    if (entries?.size === 0) this.#byClaim.delete(tenure.claim);
  }

  forget(claim: Claim): void {
    this.#byClaim.delete(claim);
  }
}

export interface OpenerOptions {
  readonly store: LogStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly ledger: Ledger;
}

/** The state to lead from, and the tenure to lead under: perhaps a newer one than was given. */
export interface Opened {
  readonly tenure: Tenure;
  readonly opening: Opening;
  /** The opening has written nothing to the log: it may start over under the same epoch. */
  readonly wroteNothing: boolean;
}

export class Opener {
  readonly #options: OpenerOptions;

  constructor(options: OpenerOptions) {
    this.#options = options;
  }

  /**
   * `told` is a watermark that a gateway has verified: the log must reach it (R6). Throws NOT_LEADER or UNAVAILABLE when the
   * right to lead is gone, CORRUPT when the log must stay shut.
   */
  async open(first: Tenure, told?: Watermark): Promise<Opened> {
    let tenure = first;
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const opened = this.#options.ledger.inDoubt(tenure) ? "renew" : await this.#openOnce(tenure, told);
      if (opened !== "renew") return opened;
      const renewed = await tenure.renew();
      if (renewed === undefined) throw superseded(tenure);
      tenure = renewed;
    }
    tenure.release();
    throw new MeridianError("UNAVAILABLE", `${JSON.stringify(tenure.conversation)} changed its leader too often just now`);
  }

  async #openOnce(tenure: Tenure, told: Watermark | undefined): Promise<Opened | "renew"> {
    const { store, ledger } = this.#options;
    const { conversation, epoch } = tenure;
    const stored = await store.loadCheckpoint(conversation);
    if (!mayGoOn(tenure)) throw superseded(tenure);
    if (stored !== undefined && stored.epoch > tenure.epoch) return this.#meet(tenure, stored.epoch);
    ledger.enter(tenure);
    if (stored !== undefined && stored.epoch === tenure.epoch) return this.#continue(tenure, stored);
    let wroteNothing = true;
    try {
      if (tenure.fromHomeKey) await store.raiseEpochMark(tenure.claim.shard, tenure.epoch);
      const result = await recover({ ...this.#options, conversation, epoch, checkpoint: stored, told });
      if (result.kind === "met") return await this.#meet(tenure, result.epoch);
      const { tail, ...state } = result.state;
      wroteNothing = tail.length === 0;
      await this.#writeAgain(tenure, tail);
      if (!mayGoOn(tenure)) throw superseded(tenure);
      return { tenure, opening: { ...state, checkpointSeq: undefined }, wroteNothing };
    } catch (error) {
      if (wroteNothing) ledger.strike(tenure);
      throw error;
    }
  }

  /** R8: it was put aside under this epoch, with its exact head in the checkpoint. */
  #continue(tenure: Tenure, stored: StoredCheckpoint): Opened {
    const { head, lastId, dedup } = continueFrom(tenure.conversation, stored);
    return { tenure, opening: { head, lastId, dedup, checkpointSeq: head.seq }, wroteNothing: true };
  }

  /** R7: everything above the known watermark, same bytes, under our epoch. */
  async #writeAgain(tenure: Tenure, tail: readonly Batch[]): Promise<void> {
    const { store, clock, random, telemetry } = this.#options;
    if (tail.length === 0) return;
    telemetry.count("recovery.rewritten", tail.length);
    const written = await Promise.all(
      tail.map((batch) =>
        writeUntilCommitted({
          tenure,
          store,
          batch,
          goOn: () => mayGoOn(tenure),
          pause: (tries) => sleep(clock, backoffMs(tries, REPEAT, random.u32())),
        }),
      ),
    );
    if (written.includes(false)) throw superseded(tenure);
  }

  /** R6: something of our epoch or a higher one is in the store already. */
  async #meet(tenure: Tenure, epoch: bigint): Promise<"renew"> {
    const verdict = await tenure.confirm(epoch);
    if (verdict === "own") return "renew";
    if (verdict === "superseded") throw superseded(tenure);
    const { conversation } = tenure;
    this.#options.telemetry.log("error", "coordinator.rewound", { conversation, epoch: tenure.epoch, met: epoch });
    throw new MeridianError(
      "CORRUPT",
      `${JSON.stringify(conversation)} was led under epoch ${epoch}, above ours, ${tenure.epoch}`,
      {
        advice: "The coordinator's state was rewound: stop all nodes and raise the incarnation, as docs/operating.md says.",
        details: { conversation, epoch: String(tenure.epoch), met: String(epoch) },
      },
    );
  }
}

function mayGoOn(tenure: Tenure): boolean {
  return tenure.look() && !tenure.sealed;
}

function superseded(tenure: Tenure): MeridianError {
  tenure.release();
  return new MeridianError(
    "UNAVAILABLE",
    `the right to lead ${JSON.stringify(tenure.conversation)} was lost while it was opened`,
    {
      retry: "elsewhere",
    },
  );
}
