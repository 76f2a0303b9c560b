import type { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Calls } from "./calls.ts";
import { NodeLease } from "./lease.ts";
import { agreeOnPlacement, type Placement, type PlacementWanted } from "./placement.ts";

const REJOIN = { firstMs: 100, maxMs: 5_000 };
const REVOKE_TRIES = 8;

/** One stay in the cluster: a lease, and the placement under which everything is claimed with it. */
export interface Session {
  readonly lease: NodeLease;
  readonly placement: Placement;
  /** By the monotonic clock. */
  readonly joinedMs: number;
}

export type MembershipState =
  | { readonly kind: "joining"; readonly reason: string }
  /** Has a lease, and leads what its claims give it. */
  | { readonly kind: "member" }
  /** Leads nothing until an operator mends what the error says. */
  | { readonly kind: "refused"; readonly error: MeridianError }
  | { readonly kind: "left" };

export interface SessionsOptions {
  readonly calls: Calls;
  readonly background: Background;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly placement: PlacementWanted;
  readonly lease: { readonly ttlMs: number; readonly renewMs: number; readonly marginMs: number };
  /** Another cluster or incarnation: what is known of the former one is void. Before `began`. */
  readonly eraBegan: () => void;
  readonly began: (session: Session) => void;
  /** Nothing that stands on its lease holds any more. */
  readonly ended: () => void;
  /** Only an operator can mend this. */
  readonly refused: (error: MeridianError) => void;
}

/** Keeps the node in the cluster: one session after the other, each with a new lease, and none while it must not lead. */
export class Sessions {
  readonly #options: SessionsOptions;
  #present: Session | undefined;
  #state: MembershipState = { kind: "joining", reason: "not started" };
  #placementSeen = false;
  /** While this stands the coordinator is not trusted, until its cluster or incarnation changes. */
  #distrust: MeridianError | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get state(): MembershipState {
    if (this.#state.kind === "member" && this.present === undefined) return { kind: "joining", reason: "the lease has ended" };
    return this.#state;
  }

  /** Undefined while there is no lease that is alive. */
  get present(): Session | undefined {
    return this.#present?.lease.alive() === true ? this.#present : undefined;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let tries = 0; !signal.aborted; tries += 1) {
      try {
        const { lease } = await this.#join();
        tries = 0;
        await lease.keep(signal);
      } catch (thrown) {
        this.#notJoined(MeridianError.from(thrown));
      }
      await sleep(clock, backoffMs(tries, REJOIN, random.u32()), signal);
    }
  }

  /** The placement key had this mod revision, or was absent at this revision: when it has changed, no claim holds any more. */
  sawPlacement(age: number): void {
    if (this.#present !== undefined && age > this.#present.placement.modRevision) {
      this.#present.lease.end("the cluster's placement has changed");
    }
  }

  /** A claim has shown that the coordinator was rewound: no claim of this node may be trusted. */
  refuse(error: MeridianError): void {
    this.#options.telemetry.log("error", "coordinator.rewound", { message: error.message, advice: error.advice });
    this.#options.telemetry.count("coordinator.rewound");
    this.#distrust = error;
    this.#present?.lease.end("the coordinator was rewound");
    this.#notJoined(error);
  }

  /** From now on nothing new is led; the present session lasts until `end`. */
  leave(): void {
    this.#state = { kind: "left" };
  }

  end(): void {
    this.#present?.lease.end("the node stops");
  }

  async #join(): Promise<Session> {
    const { calls, clock, telemetry, lease: times, placement: wanted } = this.#options;
    const hindered = this.#clockObstacle();
    if (hindered !== undefined) throw new MeridianError("CLOCK_UNSYNCED", hindered);
    const { floor } = calls;
    const { placement, header } = await agreeOnPlacement(calls, wanted, !this.#placementSeen);
    if (calls.enter(header, placement.incarnation, floor)) this.#beginEra();
    if (this.#distrust !== undefined) throw this.#distrust;
    this.#placementSeen = true;
    const lease = await NodeLease.grant({
      calls,
      clock,
      telemetry,
      ...times,
      obstacle: () => this.#clockObstacle(),
      ended: (ended, reason) => this.#ended(ended, reason),
    });
    const session = { lease, placement, joinedMs: clock.monotonicMs() };
    this.#begin(session);
    return session;
  }

  #beginEra(): void {
    this.#distrust = undefined;
    this.#options.eraBegan();
  }

  #begin(session: Session): void {
    if (this.#state.kind === "left") return session.lease.end("the node stops");
    this.#present = session;
    this.#state = { kind: "member" };
    const { lease, placement } = session;
    this.#options.telemetry.log("info", "lease.granted", { lease: lease.id, incarnation: placement.incarnation });
    this.#options.began(session);
  }

  #notJoined(error: MeridianError): void {
    const { code, message, advice } = error;
    this.#options.telemetry.log("warn", "membership.not-joined", { code, message, advice });
    if (this.#state.kind === "left") return;
    const final = code === "INVALID_ARGUMENT" || code === "CORRUPT";
    this.#state = final ? { kind: "refused", error } : { kind: "joining", reason: message };
    if (final) this.#options.refused(error);
  }

  #ended(lease: NodeLease, reason: string): void {
    const { telemetry, background, ended } = this.#options;
    telemetry.log(this.#state.kind === "left" ? "info" : "warn", "lease.ended", { lease: lease.id, reason });
    telemetry.count("lease.ended");
    if (this.#present?.lease === lease) {
      this.#present = undefined;
      if (this.#state.kind === "member") this.#state = { kind: "joining", reason: `the lease ended: ${reason}` };
      ended();
    }
    background.run("revoking a lease", (signal) => this.#revoke(lease, signal));
  }

  /** So that others need not wait for its TTL; it ends by itself if this does not succeed. */
  async #revoke(lease: NodeLease, signal: AbortSignal): Promise<void> {
    const { calls, clock, random, telemetry } = this.#options;
    for (let tries = 0; tries < REVOKE_TRIES; tries += 1) {
      try {
        return await calls.revoke(lease.id);
      } catch (thrown) {
        telemetry.log("debug", "lease.not-revoked", { lease: lease.id, message: MeridianError.from(thrown).message });
      }
      if (signal.aborted) return;
      await sleep(clock, backoffMs(tries, REJOIN, random.u32()), signal);
    }
  }

  #clockObstacle(): string | undefined {
    const time = this.#options.clock.time();
    if (!time.synchronised) return `the clock is not synchronised: ${time.reason}`;
    if (time.errorMs <= LIMITS.clockErrorMs) return undefined;
    return `the clock may be wrong by ${time.errorMs} ms; at most ${LIMITS.clockErrorMs} ms are allowed`;
  }
}
