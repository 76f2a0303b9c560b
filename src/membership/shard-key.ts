import type { Guard, Txn } from "../ports/coordinator.ts";
import type { Calls } from "./calls.ts";
import type { HeldClaim } from "./claim.ts";
import { encodeValue, keys, type Owner } from "./keys.ts";
import type { NodeLease } from "./lease.ts";
import type { News } from "./news.ts";
import type { Session } from "./sessions.ts";

export interface ShardKeysOptions {
  readonly calls: Calls;
  readonly news: News;
  /** This node's, `host:port`. */
  readonly address: string;
}

/** refused: a guard did not hold. not-applied: surely never. unknown: perhaps later. What the answer showed has been learned. */
export type WriteOutcome = "applied" | "refused" | "not-applied" | "unknown";

/** All that is ever written to shard keys, node keys included: they stand on the node's lease likewise. */
export class ShardKeys {
  readonly #options: ShardKeysOptions;

  constructor(options: ShardKeysOptions) {
    this.#options = options;
  }

  /** Claims a shard that nobody owns. Unknown is decided by the stored value: a claim that lands late is found all the same. */
  async claim(session: Session, region: string, shard: number): Promise<void> {
    const key = keys.shard(region, shard);
    const guards = [{ key, modRevision: 0 }, placementGuard(session)];
    const outcome = await this.#put(session.lease, key, guards);
    if (outcome === "unknown") await this.#write("reading a shard key", [key], {});
  }

  /** Shows the node to the others: from now on shards are given to it. */
  announce(session: Session, region: string, node: string): Promise<WriteOutcome> {
    return this.#put(session.lease, keys.node(region, node), [placementGuard(session)]);
  }

  /** A new revision and so a new claim; nothing that was sent under the old one's guard can be applied any more. */
  putToItself(claim: HeldClaim): Promise<WriteOutcome> {
    return this.#put(claim.lease, claim.key, [claim.guard]);
  }

  async transfer(claim: HeldClaim, to: Owner): Promise<WriteOutcome> {
    const { key } = claim;
    const puts = [{ key, value: encodeValue({ lease: to.lease, address: to.address }), lease: to.lease }];
    return definite(await this.#write("transferring a shard", [key], { guards: [claim.guard], puts }));
  }

  async remove({ key, modRevision }: Guard): Promise<WriteOutcome> {
    return definite(await this.#write("giving a key up", [key], { guards: [{ key, modRevision }], deletes: [key] }));
  }

  async #put(lease: NodeLease, key: string, guards: readonly Guard[]): Promise<WriteOutcome> {
    const value = encodeValue({ lease: lease.id, address: this.#options.address });
    const puts = [{ key, value, lease: lease.id }];
    const outcome = await this.#write("putting a key on the lease", [key, keys.placement], { guards, puts });
    if (outcome !== "lease-not-found") return outcome;
    lease.end("the coordinator has ended it");
    return "not-applied";
  }

  /** Writes, reads the named keys after that, and learns what they are, whether the guards held or not. */
  async #write(what: string, names: readonly string[], txn: Txn): Promise<WriteOutcome | "lease-not-found"> {
    const answer = await this.#options.calls.txn(what, { ...txn, ranges: names.map((key) => ({ key })) });
    if ("header" in answer) this.#options.news.read(names, answer.ranges, answer.header.revision);
    if (answer.status === "not-applied" && answer.reason === "lease-not-found") return "lease-not-found";
    return answer.status === "guard-failed" ? "refused" : answer.status;
  }
}

/** That the *receiver's* lease is gone says nothing of ours: surely not applied, that is all. */
function definite(outcome: WriteOutcome | "lease-not-found"): WriteOutcome {
  return outcome === "lease-not-found" ? "not-applied" : outcome;
}

function placementGuard({ placement }: Session): Guard {
  return { key: keys.placement, modRevision: placement.modRevision };
}
