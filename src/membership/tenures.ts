import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation, shardOf } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { HeldClaim } from "./claim.ts";
import { type Ground, HomeKey } from "./home-key.ts";
import type { Shards } from "./shards.ts";
import { HeldTenure, type Tenure } from "./tenure.ts";

/** Each round has read something new; more of them mean that the conversation is being moved about. */
const ROUNDS_MAX = 8;

export interface TenuresOptions {
  readonly ground: Ground;
  readonly shards: Shards;
  readonly shardCount: number;
  /** A claim is wanted that is not ready yet. */
  readonly hurry: (claim: HeldClaim) => void;
  /** This node's own, which is no hint. */
  readonly address: string;
  /** Why this node may lead nothing at all now; undefined when it may. */
  readonly obstacle: () => string | undefined;
}

export interface Location {
  /** The region that leads the conversation, as far as this node knows. */
  readonly home: string;
  readonly shard: number;
  /** The address of the node that owns the shard there, if it is known. */
  readonly leader?: string;
}

/** Finds the claim that a conversation is led under, and gives out the right to lead it. */
export class Tenures {
  readonly #options: TenuresOptions;

  constructor(options: TenuresOptions) {
    this.#options = options;
  }

  locate(conversation: string): Location {
    const { ground, shards, shardCount, address } = this.#options;
    const shard = shardOf(conversation, shardCount);
    const region = ground.homes.defaultOf(conversation);
    const home = ground.homes.home(region, shard, conversation) ?? region;
    shards.ask(home, shard);
    const leader = shards.owner(home, shard)?.address;
    const known = leader !== undefined && (leader !== address || shards.claim(home, shard) !== undefined);
    return known ? { home, shard, leader } : { home, shard };
  }

  /**
   * Waits while its shard is prepared or handed over: whoever asked could only ask again, and would be late each time. Throws
   * NOT_LEADER with `details.home` and, where known, `details.leader`; UNAVAILABLE; CORRUPT; INVALID_ARGUMENT.
   */
  async tenure(conversation: string): Promise<Tenure> {
    checkConversation(conversation);
    const { ground, shards, shardCount, obstacle } = this.#options;
    const shard = shardOf(conversation, shardCount);
    // Only here: a hand-over waits for those who have come before it, so they must not wait for it.
    await this.#handedOver(conversation, shard);
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const hindered = obstacle();
      if (hindered !== undefined) throw unavailable(conversation, hindered);
      const home = this.#home(conversation, shard);
      const claim = shards.claim(home, shard);
      if (claim === undefined) {
        await this.#seekElsewhere(conversation, shard, home);
        continue;
      }
      if (claim.sealed) throw unavailable(conversation, "its shard is being handed over");
      if (!claim.ready) {
        this.#options.hurry(claim);
        if (!(await this.#within(claim.prepared.promise))) throw unavailable(conversation, "its shard is being prepared");
        continue;
      }
      const key = new HomeKey(ground, claim, conversation);
      if (!key.certain) {
        if (!(await key.confirm())) throw unavailable(conversation, "its home key could not be read");
        continue;
      }
      const doubt = claim.doubts.get(conversation);
      if (doubt === undefined) return new HeldTenure(ground, key, key.news?.modRevision ?? 0);
      const renewed = await new HeldTenure(ground, key, doubt).renew();
      if (renewed !== undefined) return renewed;
    }
    throw unavailable(conversation, "who leads it changed too often just now");
  }

  async #handedOver(conversation: string, shard: number): Promise<void> {
    const handover = this.#options.shards.claim(this.#home(conversation, shard), shard)?.handover;
    if (handover !== undefined) await this.#within(handover);
  }

  /** False: it has not come about within the time that a caller may be kept waiting. */
  #within(what: Promise<void>): Promise<boolean> {
    return withDeadline(this.#options.ground.clock, LIMITS.claimWaitMs, "a claim", what).then(
      () => true,
      () => false,
    );
  }

  #home(conversation: string, shard: number): string {
    const { homes } = this.#options.ground;
    const home = homes.home(homes.defaultOf(conversation), shard, conversation);
    if (home !== undefined) return home;
    throw new MeridianError("CORRUPT", `the home key of ${JSON.stringify(conversation)} is unreadable, so nobody may lead it`, {
      advice: "Look at the key in the coordinator: it was not written by this version.",
      details: { conversation },
    });
  }

  /**
   * The conversation seems to be led elsewhere. If this node owns the shard's number in another region, it may have been
   * moved there without this node's knowing: one read of its home key decides. Returns when that showed another home.
   */
  async #seekElsewhere(conversation: string, shard: number, home: string): Promise<void> {
    const { ground } = this.#options;
    const claim = this.#claimOf(shard);
    if (claim !== undefined) {
      const key = new HomeKey(ground, claim, conversation);
      if (!(await key.confirm())) throw unavailable(conversation, "its home key could not be read");
      if (this.#home(conversation, shard) !== home) return;
      claim.confirmed.delete(conversation);
    }
    const { leader } = this.locate(conversation);
    throw new MeridianError("NOT_LEADER", `${JSON.stringify(conversation)} is led in ${home}, not by this node`, {
      details: leader === undefined ? { home } : { home, leader },
    });
  }

  #claimOf(shard: number): HeldClaim | undefined {
    return this.#options.shards.claims().find((claim) => claim.shard === shard && claim.held);
  }
}

function unavailable(conversation: string, why: string): MeridianError {
  return new MeridianError("UNAVAILABLE", `${JSON.stringify(conversation)} cannot be led here now: ${why}`);
}
