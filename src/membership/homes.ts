import { LIMITS } from "../kernel/limits.ts";
import { defaultHome } from "../kernel/names.ts";
import { keys } from "./keys.ts";

/** What is known of one home key. */
export interface HomeNews {
  /** Where the conversation is led; undefined when the key's value is unreadable: then it must stay shut. */
  readonly home: string | undefined;
  /** The key's mod revision; 0 when there is no key. */
  readonly modRevision: number;
  /** The revision at which this was so: the mod revision, or for an absent key the revision of the read or deletion. */
  readonly age: number;
}

/**
 * Home keys exist only for conversations that were moved or got a new epoch of their own; all others are led in their
 * default home. Older news never replaces newer. The keys of shards that this node owns in their default region are all
 * kept: there, no key means the default home. The others are a cache for routing, which may be dropped.
 */
export class Homes {
  readonly #regions: readonly string[];
  readonly #shards = new Map<string, ShardHomes>();
  /** Entries of shards that are not kept. */
  #loose = 0;

  constructor(regions: readonly string[]) {
    this.#regions = regions;
  }

  /** Region and shard are those in the key: the conversation's default ones. */
  learn(region: string, shard: number, conversation: string, news: HomeNews): void {
    const homes = this.#of(region, shard);
    const known = homes.news.get(conversation);
    if (news.age <= Math.max(homes.floor, known?.age ?? 0)) return;
    if (known === undefined && news.modRevision === 0) return;
    homes.news.set(conversation, news);
    if (known === undefined && !homes.kept) this.#addLoose(1);
  }

  /** These are all home keys of the shard that there were at `revision`. */
  listed(region: string, shard: number, all: ReadonlyMap<string, HomeNews>, revision: number): void {
    const homes = this.#of(region, shard);
    for (const [conversation, news] of all) this.learn(region, shard, conversation, news);
    for (const [conversation, { age }] of homes.news) {
      if (age <= revision && !all.has(conversation)) homes.news.delete(conversation);
    }
    homes.floor = Math.max(homes.floor, revision);
  }

  /** Undefined: no news; if the shard was listed, there is no key. */
  get(region: string, shard: number, conversation: string): HomeNews | undefined {
    return this.#shards.get(keys.shard(region, shard))?.news.get(conversation);
  }

  /** As far as this node knows. Undefined when the key is unreadable. */
  home(region: string, shard: number, conversation: string): string | undefined {
    const news = this.get(region, shard, conversation);
    return news === undefined ? region : news.home;
  }

  defaultOf(conversation: string): string {
    return defaultHome(conversation, this.#regions);
  }

  /** From now on everything about this shard is kept: call it before its keys are listed. */
  keep(region: string, shard: number): void {
    const homes = this.#of(region, shard);
    if (homes.kept) return;
    homes.kept = true;
    this.#loose -= homes.news.size;
  }

  release(region: string, shard: number): void {
    const homes = this.#of(region, shard);
    if (!homes.kept) return;
    homes.kept = false;
    this.#addLoose(homes.news.size);
  }

  forget(): void {
    this.#shards.clear();
    this.#loose = 0;
  }

  #of(region: string, shard: number): ShardHomes {
    const key = keys.shard(region, shard);
    const known = this.#shards.get(key);
    if (known !== undefined) return known;
    const homes = { news: new Map<string, HomeNews>(), floor: 0, kept: false };
    this.#shards.set(key, homes);
    return homes;
  }

  #addLoose(entries: number): void {
    this.#loose += entries;
    if (this.#loose > LIMITS.homesRemembered) this.#dropLoose();
  }

  /** With the news goes the floor: what it stood for is forgotten, and must be learned again when it is read. */
  #dropLoose(): void {
    for (const [key, homes] of this.#shards) if (!homes.kept) this.#shards.delete(key);
    this.#loose = 0;
  }
}

interface ShardHomes {
  readonly news: Map<string, HomeNews>;
  /** The revision of the last complete listing: older news is in it already. */
  floor: number;
  kept: boolean;
}
