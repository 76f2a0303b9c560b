/**
 * One worker number, leased for as long as this process needs one.
 *
 * Two processes must never make ids with one number at one time. A lease alone does not see to that: its holder may be
 * suspended and wake, its clock may step back, it may restart within a millisecond. Storing the last id before handing it
 * out would, at a round trip an id. So beside each number stands a fence, "ids of this number have times up to H", and it
 * runs ahead of the clock: the holder issues nothing above the H that it knows to be stored, and the next holder begins
 * above the H that its claim was guarded by. Between these two no id can be issued twice, whatever the clocks say; the
 * lease only tells how soon a number can be given to somebody else.
 *
 * What is left is the exact copy of a process (a machine restored from a snapshot while it runs elsewhere): it has our
 * claim and our H. It ends at the lease's deadline, or when it moves the fence: see fence.ts.
 */
import { Background } from "../kernel/background.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { Fence } from "./fence.ts";
import { type ClaimOptions, claimWorker, type WorkerClaim } from "./worker-claim.ts";
import { ask, claimKey } from "./worker-keys.ts";

/** The node's lease, as far as worker numbers need it. */
export interface NodeLease {
  /** `alive` is the look at the deadline: it must be taken anew at each use. */
  current(): { readonly id: string; alive(): boolean } | undefined;
}

/** What a holder is to have now, in milliseconds of UTC. */
export interface Reach {
  /** The fence is moved ahead to here. */
  readonly fenceMs: number;
  /** A number whose ids would begin above this is of no use. */
  readonly startMsMax: number;
}

export interface WorkerLeaseOptions extends ClaimOptions {
  readonly lease: NodeLease;
  readonly telemetry: Telemetry;
  /** Undefined: no number is wanted at the moment; one that is held is kept. */
  readonly reach: () => Reach | undefined;
}

/** A number that ids may be made with, from `startMs` to `untilMs` (UTC, both included). */
export interface WorkerNumber {
  readonly worker: number;
  readonly startMs: number;
  readonly untilMs: number;
  /** The same object as long as the number is held without a break. */
  readonly tenancy: object;
}

/** soon: there is none yet, but it is on its way. */
export type WorkerLook =
  | { readonly kind: "held"; readonly number: WorkerNumber }
  | { readonly kind: "soon" }
  | { readonly kind: "refused"; readonly error: MeridianError };

interface Held {
  readonly claim: WorkerClaim;
  readonly fence: Fence;
}

/** How often a holder looks at its lease and its fence. */
const TICK_MS = 250;
/** After a try that came to nothing. */
const RETRY_MS = 100;

export class WorkerLease {
  readonly #options: WorkerLeaseOptions;
  readonly #process: string;
  readonly #background: Background;
  #held: Held | undefined;
  #problem: MeridianError | undefined;
  #missingSinceMs: number | undefined;
  #wake = new AbortController();

  constructor(options: WorkerLeaseOptions) {
    this.#options = options;
    this.#process = Buffer.from(options.random.bytes(16)).toString("hex");
    this.#background = new Background((what, error) =>
      options.telemetry.log("error", "ids.background", { what, error: error.message, stack: error.stack }),
    );
  }

  start(): void {
    this.#background.run("worker number", (signal) => this.#run(signal));
  }

  /** Nothing can be issued from here on; the number is given back. */
  async stop(): Promise<void> {
    this.#held = undefined;
    this.#wake.abort();
    await this.#background.stop();
  }

  /** The number, if it may be used at this very moment. */
  look(): WorkerLook {
    const lease = this.#options.lease.current();
    if (lease === undefined || !lease.alive()) return { kind: "refused", error: noLease() };
    const held = this.#held;
    if (held !== undefined && held.claim.lease === lease.id && held.fence.untilMs !== undefined) {
      const { worker, fence } = held.claim;
      return { kind: "held", number: { worker, startMs: fence.untilMs + 1, untilMs: held.fence.untilMs, tenancy: held } };
    }
    if (this.#problem !== undefined) return { kind: "refused", error: this.#problem };
    const waitedMs = this.#options.clock.monotonicMs() - (this.#missingSinceMs ?? Number.POSITIVE_INFINITY);
    return waitedMs < LIMITS.idWaitMs ? { kind: "soon" } : { kind: "refused", error: noNumber() };
  }

  /** What is wanted has moved: look at it now, not at the next tick. */
  hurry(): void {
    this.#wake.abort();
  }

  /** Uses the number never again and takes another. */
  abandon(): void {
    this.#held = undefined;
    this.hurry();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const held = await this.#claim();
        if (held !== undefined) await this.#hold(held, signal);
      } catch (error) {
        this.#held = undefined;
        this.#problem = MeridianError.from(error);
        this.#options.telemetry.log("error", "ids.no-worker", { error: this.#problem.message, code: this.#problem.code });
      }
      await this.#pause(RETRY_MS, signal);
    }
  }

  async #claim(): Promise<Held | undefined> {
    const { lease, reach, clock } = this.#options;
    const present = lease.current();
    const wanted = reach();
    if (present === undefined || !present.alive() || wanted === undefined) {
      this.#missingSinceMs = undefined;
      return undefined;
    }
    this.#missingSinceMs ??= clock.monotonicMs();
    const claim = await claimWorker(this.#options, present.id, wanted.startMsMax);
    if (claim === undefined) return undefined;
    this.#held = { claim, fence: new Fence({ ...this.#options, claim, process: this.#process }) };
    return this.#held;
  }

  /** Keeps the fence ahead for as long as the number is ours. */
  async #hold(held: Held, signal: AbortSignal): Promise<void> {
    const { worker } = held.claim;
    this.#options.telemetry.log("info", "ids.worker-claimed", { worker });
    while (!signal.aborted && this.#isOurs(held)) {
      const moved = await this.#moveFence(held);
      if (moved === "ended") break;
      if (moved === "again") await sleep(this.#options.clock, RETRY_MS, signal);
      else await this.#pause(TICK_MS, signal);
    }
    if (this.#held === held) this.#held = undefined;
    this.#options.telemetry.log("info", "ids.worker-left", { worker });
    await this.#letGo(held);
  }

  #isOurs(held: Held): boolean {
    return this.#held === held && this.#leaseHolds(held);
  }

  #leaseHolds({ claim }: Held): boolean {
    const lease = this.#options.lease.current();
    return lease !== undefined && lease.id === claim.lease && lease.alive();
  }

  async #moveFence({ claim, fence }: Held): Promise<"stored" | "again" | "ended" | "high enough"> {
    const reach = this.#options.reach();
    if (reach === undefined) return "high enough";
    const untilMs = fence.untilMs ?? claim.fence.untilMs;
    const wantedMs = Math.max(reach.fenceMs, claim.fence.untilMs + 1);
    const due = fence.untilMs === undefined || wantedMs - untilMs >= LIMITS.fenceMoveMs;
    if (!due) return "high enough";
    const moved = await fence.move(Math.max(wantedMs, untilMs + 1));
    if (moved === "stored") {
      this.#problem = undefined;
      this.#missingSinceMs = undefined;
    }
    return moved;
  }

  /** A courtesy to those who look for a number: without it the key ends with the lease. */
  async #letGo(held: Held): Promise<void> {
    if (!this.#leaseHolds(held)) return;
    const key = claimKey(held.claim.worker);
    const { coordinator, clock } = this.#options;
    await ask(coordinator, clock, { guards: [{ key, modRevision: held.claim.revision }], deletes: [key] });
  }

  async #pause(durationMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await sleep(this.#options.clock, durationMs, this.#wake.signal);
    if (!signal.aborted) this.#wake = new AbortController();
  }
}

function noLease(): MeridianError {
  return new MeridianError("UNAVAILABLE", "this node has no lease at the moment, so it gives out no ids", {
    retry: "elsewhere",
    advice: "Use another node; this one serves again once it reaches the coordinator.",
  });
}

function noNumber(): MeridianError {
  return new MeridianError("UNAVAILABLE", `no worker number for ids could be claimed within ${LIMITS.idWaitMs} ms`, {
    retry: "elsewhere",
    advice: "Use another node; check that this one reaches the coordinator.",
  });
}
