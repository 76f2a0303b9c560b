/**
 * The node's ids: unique whatever clocks do, growing in each conversation, near the time at which they were made.
 *
 * Unique: worker-lease.ts sees to it that ids of one worker number never come twice; here a number's ids only grow.
 *
 * Growing: an id has to be larger than the conversation's last one and than what its sender has seen, and other nodes'
 * clocks made those. The tempting answer, to jump to whatever floor is named, lets one client or one broken clock push all
 * ids of a node, and then of all nodes, into the future. So ids never run more than `idLeadMs` ahead of the clock, and a
 * floor beyond that is waited for, but no longer than two honest clocks can differ. What is left are floors that no honest
 * clock made:
 *
 * - A client names one: it is cut to what may be given out now, and counted.
 * - It is the conversation's own last id, because a broken clock led it once. Ids have to grow there for all time, so the
 *   conversation goes on from its floor with another worker number (the far stream), and the operator is told. Everybody
 *   else's ids stay near the clock, and so do its own again when the clock has caught up.
 * - It is our own last id, because our own clock was ahead and went back: this number is left for another one.
 */
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import { ID_EPOCH_MS, IdLayout } from "./layout.ts";
import { IdStream, type StreamAnswer } from "./stream.ts";
import { type Reach, WorkerLease, type WorkerLeaseOptions } from "./worker-lease.ts";

export interface IdGeneratorOptions extends Omit<WorkerLeaseOptions, "workers" | "reach"> {
  readonly layout?: IdLayout;
}

/** What the new ids must be larger than; 0n for nothing. */
export interface IdFloors {
  /** The conversation's own last id: always kept. */
  readonly log: bigint;
  /** What the sender has seen: cut to what an honest clock may have made. */
  readonly client: bigint;
}

export type IdBlock =
  | { readonly kind: "block"; readonly first: bigint }
  /** Ask again after this time, with the same floors. */
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "refused"; readonly error: MeridianError };

/** How soon to ask again while a fence or a claim is on its way to the coordinator. */
const SOON_MS = 10;
const ALARM_MS = 60_000;
const NO_FLOORS: IdFloors = { log: 0n, client: 0n };

export class IdGenerator {
  readonly #options: IdGeneratorOptions;
  readonly #layout: IdLayout;
  readonly #nearLease: WorkerLease;
  readonly #near: IdStream;
  readonly #farLease: WorkerLease;
  readonly #far: IdStream;
  /** The highest time that was asked of the far stream; undefined: none ever. */
  #farMs: number | undefined;
  #alarmedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: IdGeneratorOptions) {
    this.#options = options;
    this.#layout = options.layout ?? new IdLayout();
    const { workers } = this.#layout;
    this.#nearLease = new WorkerLease({ ...options, workers, reach: () => this.#nearReach() });
    this.#farLease = new WorkerLease({ ...options, workers, reach: () => this.#farReach() });
    this.#near = new IdStream(this.#layout, this.#nearLease);
    this.#far = new IdStream(this.#layout, this.#farLease);
  }

  start(): void {
    this.#nearLease.start();
    this.#farLease.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#nearLease.stop(), this.#farLease.stop()]);
  }

  /** The worker number, or why there is none: what a node says of its readiness. */
  worker(): number | MeridianError {
    const now = this.#now();
    if (now instanceof MeridianError) return now;
    const look = this.#nearLease.look();
    if (look.kind === "held") return look.number.worker;
    return look.kind === "refused" ? look.error : new MeridianError("UNAVAILABLE", "a worker number for ids is being claimed");
  }

  /**
   * `count` consecutive ids (1 to `idsPerCall`), larger than the floors and, except after a fault of the clock, than all ids
   * given out before. Refused: CLOCK_UNSYNCED, or UNAVAILABLE without a lease or a worker number.
   */
  block(count: number, above: IdFloors): IdBlock {
    if (!Number.isInteger(count) || count < 1 || count > LIMITS.idsPerCall) {
      return refused(new MeridianError("INVALID_ARGUMENT", `1 to ${LIMITS.idsPerCall} ids can be had at once, not ${count}`));
    }
    const now = this.#now();
    if (now instanceof MeridianError) return refused(now);
    const { utcMs: nowMs, errorMs } = now;
    const limitMs = nowMs + LIMITS.idLeadMs;
    const logMs = this.#layout.utcMsOf(above.log);
    if (logMs - limitMs > LIMITS.idWaitMs) return this.#blockFar(count, above.log, logMs);
    const floors = [above.log, this.#clamp(above.client, limitMs, errorMs)];
    const answer = this.#near.take({ count, floors, nowMs, limitMs });
    if (answer.kind === "early" && answer.own) {
      this.#nearLease.abandon();
      this.#options.telemetry.log("error", "ids.clock-went-back", { byMs: answer.byMs });
      return { kind: "wait", ms: SOON_MS };
    }
    return blockOf(answer, this.#nearLease);
  }

  /** A block's first id, waited for at most `deadlineMs`. Throws what `block` refuses with, and UNAVAILABLE at the deadline. */
  async next(count: number, options: { readonly above?: IdFloors; readonly deadlineMs?: number } = {}): Promise<bigint> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + (options.deadlineMs ?? LIMITS.callDeadlineMs);
    for (;;) {
      const block = this.block(count, options.above ?? NO_FLOORS);
      if (block.kind === "block") return block.first;
      if (block.kind === "refused") throw block.error;
      const leftMs = endMs - clock.monotonicMs();
      if (leftMs <= 0)
        throw new MeridianError("UNAVAILABLE", "no ids could be given out before the deadline", { advice: "Try again." });
      await sleep(clock, Math.min(block.ms, leftMs));
    }
  }

  #blockFar(count: number, floor: bigint, floorMs: number): IdBlock {
    const { clock, telemetry } = this.#options;
    if (floorMs >= this.#layout.lastUtcMs) return refused(tooFar());
    if (clock.monotonicMs() - this.#alarmedAtMs >= ALARM_MS) {
      this.#alarmedAtMs = clock.monotonicMs();
      telemetry.log("error", "ids.far-future", { floor, utcMs: floorMs });
    }
    if (this.#farMs === undefined || floorMs > this.#farMs) {
      this.#farMs = floorMs;
      this.#farLease.hurry();
    }
    const answer = this.#far.take({ count, floors: [floor], nowMs: floorMs, limitMs: this.#layout.lastUtcMs });
    if (answer.kind === "block") telemetry.count("ids.far-future");
    if (answer.kind === "early") return refused(tooFar());
    if (answer.kind === "fenced") this.#farMs = answer.untilMs;
    return blockOf(answer, this.#farLease);
  }

  /** An honest clock may be ahead of true time by `clockErrorMs`, and ours behind it by `errorMs`. */
  #clamp(client: bigint, limitMs: number, errorMs: number): bigint {
    if (this.#layout.utcMsOf(client) <= limitMs + errorMs + LIMITS.clockErrorMs) return client;
    this.#options.telemetry.count("ids.clamped");
    return this.#layout.compose({ utcMs: limitMs - 1, worker: 0, counter: 0 });
  }

  #nearReach(): Reach | undefined {
    const now = this.#now();
    if (now instanceof MeridianError) return undefined;
    const { utcMs } = now;
    return { fenceMs: utcMs + LIMITS.fenceAheadMs, startMsMax: utcMs + LIMITS.idLeadMs + LIMITS.idWaitMs };
  }

  #farReach(): Reach | undefined {
    if (this.#farMs === undefined) return undefined;
    return { fenceMs: this.#farMs + LIMITS.fenceAheadMs, startMsMax: this.#layout.lastUtcMs };
  }

  #now(): { readonly utcMs: number; readonly errorMs: number } | MeridianError {
    const reading = this.#options.clock.time();
    if (!reading.synchronised) return unsynced(`the clock is not synchronised: ${reading.reason}`);
    const { errorMs } = reading;
    const utcMs = Math.floor(reading.utcMs);
    if (errorMs > LIMITS.clockErrorMs) {
      return unsynced(`the clock may be wrong by ${Math.ceil(errorMs)} ms; at most ${LIMITS.clockErrorMs} ms are allowed`);
    }
    if (utcMs < ID_EPOCH_MS || utcMs + LIMITS.idLeadMs > this.#layout.lastUtcMs) {
      return unsynced(`the clock says ${new Date(utcMs).toISOString()}, which ids cannot hold`);
    }
    return { utcMs, errorMs };
  }
}

function blockOf(answer: StreamAnswer, lease: WorkerLease): IdBlock {
  switch (answer.kind) {
    case "early":
      return { kind: "wait", ms: answer.byMs };
    case "fenced":
      lease.hurry();
      return { kind: "wait", ms: SOON_MS };
    case "soon":
      return { kind: "wait", ms: SOON_MS };
    default:
      return answer;
  }
}

function refused(error: MeridianError): IdBlock {
  return { kind: "refused", error };
}

function unsynced(message: string): MeridianError {
  return new MeridianError("CLOCK_UNSYNCED", message);
}

function tooFar(): MeridianError {
  return new MeridianError("CLOCK_UNSYNCED", "the conversation's last id lies at the end of time: no larger one exists", {
    retry: "never",
    advice: "A broken clock made that id. Go on in another conversation.",
  });
}
