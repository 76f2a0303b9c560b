import type { Background } from "../kernel/background.ts";
import { LIMITS } from "../kernel/limits.ts";
import { Slots } from "../kernel/slots.ts";
import type { Handover } from "./handover.ts";
import type { Ground } from "./home-key.ts";
import type { LiveNode, Nodes } from "./nodes.ts";
import type { Session } from "./sessions.ts";
import type { ShardKeys } from "./shard-key.ts";
import type { Shards } from "./shards.ts";

/** After a transfer that did not come about, its shard rests. */
const REST_MS = 5_000;

export interface RoundsOptions {
  readonly ground: Ground;
  readonly background: Background;
  readonly shards: Shards;
  readonly nodes: Nodes;
  readonly shardKeys: ShardKeys;
  readonly handover: Handover;
  readonly region: string;
  readonly node: string;
  /**
   * A node that has just joined leaves other regions' shards alone for so many milliseconds: when a whole cluster starts,
   * their nodes are about to come.
   */
  readonly patienceMs: number;
}

/** Brings the shards to whom the rendezvous gives them: claims those without an owner, gives away those of other nodes. */
export class Rounds {
  readonly #options: RoundsOptions;
  readonly #slots = new Slots(LIMITS.claimsAtOnce);
  readonly #giving = new Set<string>();
  /** The revision of this node's own key when it was last seen. */
  #announcedAt = Number.POSITIVE_INFINITY;
  readonly #restUntilMs = new Map<string, number>();

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Ends when each claim has its answer; transfers go on beside it. */
  async run(session: Session): Promise<void> {
    const { nodes, shards, shardKeys, region, node } = this.#options;
    // Else the node would seem to be gone, to the others and in its own choice, and give all it has away.
    const announced = nodes.get(region, node);
    if (announced?.lease !== session.lease.id) {
      if (announced !== undefined && announced.modRevision > this.#announcedAt) this.#warnOfNamesake(announced);
      await shardKeys.announce(session, region, node);
    }
    const own = nodes.get(region, node);
    if (own?.lease !== session.lease.id) return;
    this.#announcedAt = own.modRevision;
    // A takeover brings more shards than can be claimed at once, and somebody waits for a few of them.
    const vacant = shards.takeVacant().filter((at) => this.#wants(session, at.region, at.shard));
    this.#giveAway();
    await Promise.all(
      vacant.map((at) =>
        this.#slots.run(async () => {
          if (session.lease.alive() && shards.vacant(at.region, at.shard)) await shardKeys.claim(session, at.region, at.shard);
        }),
      ),
    );
  }

  /** Harmless to the conversations, but the shards go to and fro between the two. */
  #warnOfNamesake({ node, region, address }: LiveNode): void {
    this.#options.ground.telemetry.log("warn", "node.name-taken", { node, region, address });
  }

  #wants(session: Session, region: string, shard: number): boolean {
    const { nodes, ground, patienceMs } = this.#options;
    if (nodes.choose(region, shard)?.lease !== session.lease.id) return false;
    return region === this.#options.region || ground.clock.monotonicMs() - session.joinedMs >= patienceMs;
  }

  #giveAway(): void {
    const { nodes, shards, handover, background, ground } = this.#options;
    for (const claim of shards.claims()) {
      const to = nodes.choose(claim.region, claim.shard);
      const rests = (this.#restUntilMs.get(claim.key) ?? 0) > ground.clock.monotonicMs();
      if (!claim.ready || to === undefined || to.lease === claim.lease.id || rests || this.#giving.has(claim.key)) continue;
      this.#giving.add(claim.key);
      background.run("handing a shard over", async () => {
        const given = await handover.give(claim, to).finally(() => this.#giving.delete(claim.key));
        if (given) this.#restUntilMs.delete(claim.key);
        else this.#restUntilMs.set(claim.key, ground.clock.monotonicMs() + REST_MS);
      });
    }
  }
}
