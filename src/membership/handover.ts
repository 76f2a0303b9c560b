import { backoffMs } from "../kernel/backoff.ts";
import { LIMITS } from "../kernel/limits.ts";
import { Slots } from "../kernel/slots.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { HeldClaim } from "./claim.ts";
import type { Ground } from "./home-key.ts";
import type { Owner } from "./keys.ts";
import type { ShardKeys } from "./shard-key.ts";

const REPEAT = { firstMs: 20, maxMs: 500 };

export interface HandoverOptions {
  readonly ground: Ground;
  readonly shardKeys: ShardKeys;
  /** Everything led under the claim is to be put aside. */
  readonly drain: (claim: HeldClaim) => Promise<"drained" | "failed">;
}

/**
 * Gives a shard to another node without waiting for a lease to end: seal, drain, transfer. From the moment the transfer is
 * sent nothing is acked under the claim. If its outcome is unknown it may land at any later time, so the shard key is put
 * to itself under the same guard: either it is ours with a new revision, a new claim, or the other's.
 *
 * A node that joins or leaves moves hundreds of shards, and conversations are led in a few of them. All at once they keep
 * the coordinator, the log and the new owner's processor busy for a second, and the few stall that long. So those in use go
 * at once, and the idle ones follow at a measured pace: until its turn comes, an idle shard stays with its owner and serves.
 */
export class Handover {
  readonly #options: HandoverOptions;
  readonly #slots = new Slots(LIMITS.handoversAtOnce);
  readonly #idleSlots = new Slots(LIMITS.idleHandoversAtOnce);

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** Answers true when the shard is the other's; else it stays, under this claim or a new one, or was lost. */
  give(claim: HeldClaim, to: Owner): Promise<boolean> {
    return this.#inTurn(claim, async () => {
      if (!claim.ready || claim.sealed) return false;
      claim.seal();
      const drained = await this.#drain(claim);
      if (!claim.open) return false;
      if (drained) {
        claim.handedOver = true;
        const outcome = await this.#options.shardKeys.transfer(claim, to);
        this.#options.ground.telemetry.count(`transfer.${outcome}`);
        if (outcome === "applied") return true;
        if (outcome === "unknown") await this.#settle(claim);
        if (outcome !== "not-applied") return false;
      }
      claim.handedOver = false;
      claim.unseal();
      return false;
    });
  }

  /** The node is leaving: to the successor if there is one, else the key is deleted. What stays ends with the lease. */
  leave(claim: HeldClaim, successor: Owner | undefined): Promise<void> {
    const work = async () => {
      claim.seal();
      if (claim.ready) await this.#drain(claim);
      if (!claim.open) return;
      claim.handedOver = true;
      const { shardKeys } = this.#options;
      const outcome = successor === undefined ? "not-applied" : await shardKeys.transfer(claim, successor);
      if (outcome === "not-applied" && claim.held) await shardKeys.remove(claim.guard);
    };
    return successor === undefined ? this.#slots.run(work) : this.#inTurn(claim, work);
  }

  #inTurn<T>(claim: HeldClaim, work: () => Promise<T>): Promise<T> {
    if (claim.inUse) return this.#slots.run(work);
    return this.#idleSlots.run(async () => {
      await sleep(this.#options.ground.clock, LIMITS.idleHandoverRestMs);
      return work();
    });
  }

  async #drain(claim: HeldClaim): Promise<boolean> {
    const { ground, drain } = this.#options;
    try {
      if ((await withDeadline(ground.clock, LIMITS.drainMs, `draining ${claim.key}`, drain(claim))) === "drained") return true;
      ground.telemetry.log("warn", "transfer.not-drained", { key: claim.key });
    } catch (error) {
      ground.telemetry.log("warn", "transfer.not-drained", { key: claim.key, error: String(error) });
    }
    return false;
  }

  async #settle(claim: HeldClaim): Promise<void> {
    const { clock, random } = this.#options.ground;
    for (let tries = 0; claim.held; tries += 1) {
      const outcome = await this.#options.shardKeys.putToItself(claim);
      if (outcome === "applied" || outcome === "refused") return;
      await sleep(clock, backoffMs(tries, REPEAT, random.u32()));
    }
  }
}
