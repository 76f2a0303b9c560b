import { HeldClaim } from "./claim.ts";
import { keys, type Owner } from "./keys.ts";
import type { NodeLease } from "./lease.ts";

/** News of one shard key. */
export interface ShardNews {
  /** Undefined when the key is absent; "unreadable" for a value that no node of ours writes. */
  readonly owner: Owner | "unreadable" | undefined;
  /** The key's mod revision, or for an absent key the revision of its deletion or of the read that did not find it. */
  readonly age: number;
}

export interface ShardsOptions {
  readonly regions: readonly string[];
  /** How many each region has. */
  readonly count: number;
  /** A claim is found: by the answer of a put, by a read or by the watch. */
  readonly claimed: (claim: HeldClaim) => void;
  /** A claim is let go; it is not held any more. */
  readonly lost: (claim: HeldClaim) => void;
  /** A shard has lost its owner. */
  readonly vacated: () => void;
}

/**
 * Who owns which shard, and which of them are ours. Of every key the newest news counts and older news is ignored, so a
 * claim that was let go is never taken up again under the same revision, whatever a slow watch still tells.
 */
export class Shards {
  readonly #options: ShardsOptions;
  readonly #news = new Map<string, ShardNews>();
  readonly #claims = new Map<string, HeldClaim>();
  /** Shards that somebody asked this node about since the last round of claims… */
  #asked = new Set<string>();
  /** …and in the time before: a round may come right before the one that finds them without an owner. */
  #askedBefore = new Set<string>();
  #session: { readonly lease: NodeLease; readonly incarnation: number } | undefined;

  constructor(options: ShardsOptions) {
    this.#options = options;
  }

  /** From now on keys whose value holds this lease are ours. */
  begin(lease: NodeLease, incarnation: number): void {
    this.#session = { lease, incarnation };
  }

  /** The lease is dead, and with it every claim. */
  end(): void {
    this.#session = undefined;
    for (const claim of [...this.#claims.values()]) this.#lose(claim);
  }

  learn(region: string, shard: number, news: ShardNews): void {
    const key = keys.shard(region, shard);
    const former = this.#news.get(key);
    if (news.age <= (former?.age ?? 0)) return;
    this.#news.set(key, news);
    const before = this.#claims.get(key);
    if (before !== undefined) this.#lose(before);
    if (former?.owner !== undefined && news.owner === undefined) this.#options.vacated();
    const session = this.#session;
    const ours = typeof news.owner === "object" && news.owner.lease === session?.lease.id;
    if (!ours || session?.lease.alive() !== true) return;
    const claim = new HeldClaim({ ...session, key, region, shard, modRevision: news.age });
    this.#claims.set(key, claim);
    this.#options.claimed(claim);
  }

  /** These are all shard keys there were at `revision`, by their names; the others had no owner. */
  listed(owned: ReadonlyMap<string, ShardNews>, revision: number): void {
    const absent = { owner: undefined, age: revision };
    for (const { region, shard } of this.all()) this.learn(region, shard, owned.get(keys.shard(region, shard)) ?? absent);
  }

  *all(): Generator<{ readonly region: string; readonly shard: number }, void, undefined> {
    for (const region of this.#options.regions)
      for (let shard = 0; shard < this.#options.count; shard += 1) yield { region, shard };
  }

  owner(region: string, shard: number): Owner | undefined {
    const owner = this.#news.get(keys.shard(region, shard))?.owner;
    return typeof owner === "object" ? owner : undefined;
  }

  /** Known to have no owner. */
  vacant(region: string, shard: number): boolean {
    const news = this.#news.get(keys.shard(region, shard));
    return news !== undefined && news.owner === undefined;
  }

  /** Somebody waits for a conversation of this shard. */
  ask(region: string, shard: number): void {
    this.#asked.add(keys.shard(region, shard));
  }

  /** Those without an owner, those first that somebody has asked about since the time before last. */
  takeVacant(): readonly { readonly region: string; readonly shard: number }[] {
    const asked = new Set([...this.#asked, ...this.#askedBefore]);
    const isAsked = ({ region, shard }: { readonly region: string; readonly shard: number }) =>
      asked.has(keys.shard(region, shard));
    const vacant = [...this.all()].filter(({ region, shard }) => this.vacant(region, shard));
    const sorted = [...vacant.filter(isAsked), ...vacant.filter((at) => !isAsked(at))];
    this.#askedBefore = this.#asked;
    this.#asked = new Set();
    return sorted;
  }

  claim(region: string, shard: number): HeldClaim | undefined {
    return this.#claims.get(keys.shard(region, shard));
  }

  claims(): readonly HeldClaim[] {
    return [...this.#claims.values()];
  }

  /** Another cluster or incarnation: revisions seen so far say nothing about those to come. */
  forget(): void {
    this.#news.clear();
  }

  #lose(claim: HeldClaim): void {
    this.#claims.delete(claim.key);
    claim.letGo();
    this.#options.lost(claim);
  }
}
