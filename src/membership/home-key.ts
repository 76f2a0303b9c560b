import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Calls } from "./calls.ts";
import type { HeldClaim } from "./claim.ts";
import type { HomeNews, Homes } from "./homes.ts";
import { encodeValue, keys } from "./keys.ts";
import type { KeyNews, News } from "./news.ts";

/** What everything under a claim stands on. */
export interface Ground {
  readonly calls: Calls;
  readonly news: News;
  readonly homes: Homes;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly regions: readonly string[];
}

/** refused: a guard did not hold, and both keys were read. not-applied: surely never. unknown: perhaps later. */
export type PutOutcome =
  | { readonly status: "applied"; readonly modRevision: number }
  | { readonly status: "refused" | "not-applied" | "unknown" };

/** The home key of one conversation, as a claim sees it: every transaction here is guarded by the claim, or reads it too. */
export class HomeKey {
  readonly key: string;
  readonly claim: HeldClaim;
  readonly conversation: string;
  readonly #ground: Ground;
  readonly #default: string;

  constructor(ground: Ground, claim: HeldClaim, conversation: string) {
    this.#ground = ground;
    this.claim = claim;
    this.conversation = conversation;
    this.#default = ground.homes.defaultOf(conversation);
    this.key = keys.home(this.#default, claim.shard, conversation);
  }

  get news(): HomeNews | undefined {
    return this.#ground.homes.get(this.#default, this.claim.shard, this.conversation);
  }

  /**
   * May an epoch be derived from what is known? Only from what a transaction guarded by this claim has shown: a node whose
   * claim is gone could else learn from the watch of a home key's new revision, and derive its successor's epoch from it.
   */
  get certain(): boolean {
    const { news, claim } = this;
    if (news !== undefined && claim.confirmed.get(this.conversation) === news.age) return true;
    if (claim.region !== this.#default || claim.listedAt === undefined) return false;
    return news === undefined || news.age <= claim.listedAt;
  }

  /** Reads it guarded by the claim. False: no answer. When the claim is gone, this has been learned. */
  async confirm(): Promise<boolean> {
    const { claim, key } = this;
    const ranges = [{ key: claim.key }, { key }];
    const answer = await this.#ground.calls.txn("reading a home key", { guards: [claim.guard], ranges });
    if (!("header" in answer)) return false;
    const [, home] = this.#ground.news.read([claim.key, key], answer.ranges, answer.header.revision);
    if (answer.status === "applied" && home !== undefined) this.#confirmed(home);
    return true;
  }

  /** Puts it, guarded by the claim and by the revision under which the conversation is led: moves, and puts to itself. */
  async put(home: string, homeModRevision: number): Promise<PutOutcome> {
    const { claim, key, conversation } = this;
    const value = encodeValue({ home });
    const answer = await this.#ground.calls.txn("putting a home key", {
      guards: [claim.guard, { key, modRevision: homeModRevision }],
      puts: [{ key, value }],
      ranges: [{ key: claim.key }, { key }],
    });
    if (!("header" in answer)) return { status: answer.status };
    // Whatever else was sent under the same two guards can never be applied from now on: one of them has changed.
    claim.settle(conversation, homeModRevision);
    const [shardSeen, homeSeen] = this.#ground.news.read([claim.key, key], answer.ranges, answer.header.revision);
    if (homeSeen !== undefined && shardSeen?.kv?.modRevision === claim.modRevision) this.#confirmed(homeSeen);
    if (answer.status === "guard-failed") return { status: "refused" };
    return { status: "applied", modRevision: answer.header.revision };
  }

  /** Reads both keys, linearizably and whatever they are. Undefined: no answer. */
  async readBoth(): Promise<{ readonly shard: number; readonly home: number } | undefined> {
    const names = [this.claim.key, this.key];
    const answer = await this.#ground.calls.txn("reading shard and home key", { ranges: names.map((key) => ({ key })) });
    if (!("header" in answer)) return undefined;
    const [shard, home] = this.#ground.news.read(names, answer.ranges, answer.header.revision);
    return { shard: shard?.kv?.modRevision ?? 0, home: home?.kv?.modRevision ?? 0 };
  }

  #confirmed(home: KeyNews): void {
    this.claim.confirmed.set(this.conversation, home.age);
  }
}
