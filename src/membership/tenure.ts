/**
 * The right to lead one conversation under one epoch.
 *
 * The trap is the transaction of unknown outcome. A leader that sent a move and heard nothing may still own everything
 * when it reads the keys, and lose it a second later when the move lands. So it never asks "did it land?": from the moment
 * a move is *sent* the tenure is shut, although lease and claim look good, and it stays shut until a put that is guarded
 * exactly as the move was has changed one of the guards. Then the move cannot land any more, and the put's revision is a
 * new epoch: the conversation is opened anew under a new tenure, never again under this one.
 */
import { backoffMs } from "../kernel/backoff.ts";
import { invariant, MeridianError } from "../kernel/errors.ts";
import { sleep } from "../kernel/timing.ts";
import type { Claim, HeldClaim } from "./claim.ts";
import type { Ground, HomeKey } from "./home-key.ts";

/** Between the tries of a put whose outcome was unknown. */
const REPEAT = { firstMs: 20, maxMs: 500 };

export type MoveOutcome =
  | { readonly kind: "moved"; readonly epoch: bigint }
  /** Surely not moved, and nothing was in flight: this tenure goes on. */
  | { readonly kind: "resume" }
  /** It may still happen: `renew` before opening again. */
  | { readonly kind: "doubt" }
  /** Superseded; the keys were read. */
  | { readonly kind: "lost" };

export interface Tenure {
  readonly conversation: string;
  readonly epoch: bigint;
  readonly claim: Claim;
  /** The epoch came from the home key: raise the shard's epoch mark before the first row. */
  readonly fromHomeKey: boolean;

  /** R4: deadline not passed on either clock, claim still held, no move or transfer of it sent, not let go. Cheap. */
  look(): boolean;

  /** True once the claim is to be handed over or this tenure is over: take no new sends. What is in flight may be acked. */
  readonly sealed: boolean;

  /**
   * R8: a new epoch by a put of the home key, guarded as a move is; repeats while its outcome is unknown, at most until the
   * lease ends. Undefined: superseded or let go. This tenure never looks true again.
   */
  renew(): Promise<Tenure | undefined>;

  /**
   * R6: a row or checkpoint of `metEpoch`, ours or a higher one, was met. superseded: let go. own: still the owner and the
   * epoch is ours, so renew. rewound: still the owner and it is higher: stay shut. Throws UNAVAILABLE when etcd is silent.
   */
  confirm(metEpoch: bigint): Promise<"superseded" | "own" | "rewound">;

  /**
   * Gives the conversation, sealed and drained, to another region. From when it is sent `look()` is false. Throws
   * INVALID_ARGUMENT for a region that is unknown or has it already.
   */
  move(region: string, options: { readonly nothingInFlight: boolean }): Promise<MoveOutcome>;

  /** The leader is let go: no transaction is sent any more. A second call does nothing. */
  release(): void;
}

export class HeldTenure implements Tenure {
  readonly conversation: string;
  readonly epoch: bigint;
  readonly claim: HeldClaim;
  readonly fromHomeKey: boolean;
  readonly #ground: Ground;
  readonly #homeKey: HomeKey;
  /** What moves and puts are guarded by: the home key that this tenure stands on; 0: its absence. */
  readonly #homeModRevision: number;
  #state: "open" | "shut" | "released" = "open";

  /** Takes the seat of the conversation's former tenure under this claim, which is released. */
  constructor(ground: Ground, homeKey: HomeKey, homeModRevision: number) {
    this.#ground = ground;
    this.#homeKey = homeKey;
    this.#homeModRevision = homeModRevision;
    this.conversation = homeKey.conversation;
    this.claim = homeKey.claim;
    this.epoch = this.claim.epoch(homeModRevision);
    this.fromHomeKey = homeModRevision > this.claim.modRevision;
    this.claim.seat(this.conversation, this);
  }

  look(): boolean {
    return this.#state === "open" && this.claim.open;
  }

  get sealed(): boolean {
    return this.claim.sealed || this.#state !== "open";
  }

  async renew(): Promise<Tenure | undefined> {
    if (this.#state === "released") return undefined;
    this.#state = "shut";
    // Even if nothing can be sent now: who asks for a new epoch must never find this one given out again.
    this.#doubt();
    for (let tries = 0; ; tries += 1) {
      // No await between this and the sending.
      if (!this.#maySend()) return undefined;
      const outcome = await this.#homeKey.put(this.claim.region, this.#homeModRevision);
      if (outcome.status === "refused") return undefined;
      if (outcome.status === "applied") {
        this.#ground.telemetry.count("tenure.renewed");
        return this.#maySend() ? new HeldTenure(this.#ground, this.#homeKey, outcome.modRevision) : undefined;
      }
      await this.#pause(tries);
    }
  }

  async confirm(metEpoch: bigint): Promise<"superseded" | "own" | "rewound"> {
    invariant(metEpoch >= this.epoch, "only an epoch that is not lower is a reason to read the keys");
    for (let tries = 0; this.#maySend(); tries += 1) {
      const seen = await this.#homeKey.readBoth();
      if (seen !== undefined) {
        if (seen.shard !== this.claim.modRevision || seen.home !== this.#homeModRevision) return "superseded";
        return metEpoch > this.epoch ? "rewound" : "own";
      }
      await this.#pause(tries);
    }
    throw new MeridianError("UNAVAILABLE", `who leads ${JSON.stringify(this.conversation)} could not be read`, {
      retry: "elsewhere",
    });
  }

  async move(region: string, options: { readonly nothingInFlight: boolean }): Promise<MoveOutcome> {
    if (!this.#ground.regions.includes(region) || region === this.claim.region) {
      const message = `${JSON.stringify(this.conversation)} is led in ${this.claim.region} and cannot be moved to ${region}`;
      const advice = `Choose another one of the cluster's regions: ${this.#ground.regions.join(", ")}.`;
      throw new MeridianError("INVALID_ARGUMENT", message, { advice });
    }
    if (!this.look()) return { kind: "lost" };
    this.#state = "shut";
    this.#doubt();
    const outcome = await this.#homeKey.put(region, this.#homeModRevision);
    this.#ground.telemetry.count(`tenure.move-${outcome.status}`);
    if (outcome.status === "applied") return { kind: "moved", epoch: this.claim.epoch(outcome.modRevision) };
    if (outcome.status === "refused") return { kind: "lost" };
    if (outcome.status === "unknown" || !options.nothingInFlight) return { kind: "doubt" };
    this.claim.settle(this.conversation, this.#homeModRevision);
    if (this.#state !== "shut") return { kind: "lost" };
    this.#state = "open";
    return { kind: "resume" };
  }

  release(): void {
    this.#state = "released";
    this.claim.unseat(this.conversation, this);
  }

  /** From here on a transaction may be on its way: this object settles it, or whoever comes after it. */
  #doubt(): void {
    this.claim.doubts.set(this.conversation, this.#homeModRevision);
  }

  /** What was let go, or stands on a claim that is gone or being handed over, sends nothing. */
  #maySend(): boolean {
    return this.#state !== "released" && this.claim.open;
  }

  #pause(tries: number): Promise<void> {
    return sleep(this.#ground.clock, backoffMs(tries, REPEAT, this.#ground.random.u32()));
  }
}
