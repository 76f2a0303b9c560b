import { Deferred } from "../kernel/deferred.ts";
import type { Guard } from "../ports/coordinator.ts";
import { epochOf } from "./epoch.ts";
import type { NodeLease } from "./lease.ts";

/**
 * A shard key at one mod revision, as long as its value holds this node's present lease. Another revision is another
 * claim, under which everything is opened anew, even if the key was ours before and after.
 */
export interface Claim {
  /** The shard key's name. */
  readonly key: string;
  readonly region: string;
  readonly shard: number;
  readonly modRevision: number;
}

export interface HeldClaimOptions extends Claim {
  readonly lease: NodeLease;
  readonly incarnation: number;
}

/** Something under a claim that may send transactions: it is let go when another takes its place. */
interface Releasable {
  release(): void;
}

/** A claim with what this node knows and does under it. */
export class HeldClaim implements Claim {
  readonly key: string;
  readonly region: string;
  readonly shard: number;
  readonly modRevision: number;
  readonly lease: NodeLease;
  readonly incarnation: number;
  /** Settles when the claim is ready or gone. */
  readonly prepared = new Deferred<void>();
  /** The revision at which its home keys were listed, guarded by this claim. */
  listedAt: number | undefined;
  /** Home keys that were read or put in transactions guarded by this claim, with the age of what was seen. */
  readonly confirmed = new Map<string, number>();
  /**
   * Conversations for which a move or put was sent whose outcome is not known, with the home key's revision that guarded
   * it. The duty to settle it lies here and not with the object that sent it: it may have been let go.
   */
  readonly doubts = new Map<string, number>();
  /** A transfer or deletion of the shard key is on its way: from here on nothing is acked. */
  handedOver = false;
  #handover: Deferred<void> | undefined;
  readonly #tenures = new Map<string, Releasable>();
  #state: "preparing" | "ready" | "gone" = "preparing";

  constructor(options: HeldClaimOptions) {
    this.key = options.key;
    this.region = options.region;
    this.shard = options.shard;
    this.modRevision = options.modRevision;
    this.lease = options.lease;
    this.incarnation = options.incarnation;
  }

  /** Still ours, as far as this node may believe. */
  get held(): boolean {
    return this.#state !== "gone" && this.lease.alive();
  }

  /** May transactions and acks under it be made? The claim's part of the look. */
  get open(): boolean {
    return !this.handedOver && this.held;
  }

  get ready(): boolean {
    return this.#state === "ready" && this.held;
  }

  /** Hand-over has begun: no new tenures, no new sends. */
  get sealed(): boolean {
    return this.#handover !== undefined;
  }

  /** Settles when the hand-over that has begun is over: then the claim is gone or goes on. */
  get handover(): Promise<void> | undefined {
    return this.#handover?.promise;
  }

  /** Are conversations led under it? */
  get inUse(): boolean {
    return this.#tenures.size > 0;
  }

  /** Of a conversation whose home key has this mod revision; 0: it has none. */
  epoch(homeModRevision: number): bigint {
    return epochOf(this.incarnation, Math.max(this.modRevision, homeModRevision));
  }

  get guard(): Guard {
    return { key: this.key, modRevision: this.modRevision };
  }

  makeReady(): void {
    if (this.#state === "preparing") this.#state = "ready";
    this.prepared.resolve();
  }

  letGo(): void {
    this.#state = "gone";
    this.prepared.resolve();
    this.#handover?.resolve();
  }

  seal(): void {
    this.#handover ??= new Deferred();
  }

  unseal(): void {
    this.#handover?.resolve();
    this.#handover = undefined;
  }

  /** At most one tenure of a conversation is open: the newest. */
  seat(conversation: string, tenure: Releasable): void {
    const before = this.#tenures.get(conversation);
    this.#tenures.set(conversation, tenure);
    before?.release();
  }

  /** What is known of its home key goes with the tenure: it is read again when the conversation is opened again. */
  unseat(conversation: string, tenure: Releasable): void {
    if (this.#tenures.get(conversation) !== tenure) return;
    this.#tenures.delete(conversation);
    this.confirmed.delete(conversation);
  }

  /** The doubt that was guarded by this revision is over; a later one about the same conversation is not. */
  settle(conversation: string, homeModRevision: number): void {
    if (this.doubts.get(conversation) === homeModRevision) this.doubts.delete(conversation);
  }
}
