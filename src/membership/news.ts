import { MeridianError } from "../kernel/errors.ts";
import type { KeyValue, RangeAnswer, WatchEvent } from "../ports/coordinator.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { HomeNews, Homes } from "./homes.ts";
import { type KeyName, parseHome, parseKey, parseOwner } from "./keys.ts";
import type { Nodes } from "./nodes.ts";
import type { Shards } from "./shards.ts";

export interface NewsOptions {
  readonly nodes: Nodes;
  readonly shards: Shards;
  readonly homes: Homes;
  readonly telemetry: Telemetry;
  /** The placement key had this mod revision, or was absent at this revision. */
  readonly placementSeen: (age: number) => void;
}

/** What is told of a key: its value, or that it is absent. `age` is the revision at which it was so. */
export interface KeyNews {
  readonly key: string;
  readonly kv: KeyValue | undefined;
  readonly age: number;
}

/** Brings every answer, read and event to those whom it concerns, and values that nobody of ours wrote to the operator. */
export class News {
  readonly #options: NewsOptions;

  constructor(options: NewsOptions) {
    this.#options = options;
  }

  learn({ key, kv, age }: KeyNews): void {
    const name = parseKey(key);
    if (name === undefined) return;
    const { shards, homes, nodes, placementSeen } = this.#options;
    if (name.kind === "placement") placementSeen(age);
    else if (name.kind === "shard") shards.learn(name.region, name.shard, { owner: kv && this.#owner(kv), age });
    else if (name.kind === "home") homes.learn(name.region, name.shard, name.conversation, this.homeNews(name, kv, age));
    else {
      const owner = kv && this.#owner(kv);
      nodes.learn(name.region, name.node, owner === "unreadable" ? undefined : owner, age);
    }
  }

  event(event: WatchEvent): void {
    if (event.type === "put") this.learn({ key: event.kv.key, kv: event.kv, age: event.kv.modRevision });
    else this.learn({ key: event.key, kv: undefined, age: event.modRevision });
  }

  /** The answers of ranges that read one key each, at `revision`; answers what each has shown. */
  read(names: readonly string[], ranges: readonly RangeAnswer[], revision: number): readonly KeyNews[] {
    const seen = names.map((key, at) => {
      const kv = ranges[at]?.kvs[0];
      return { key, kv, age: kv?.modRevision ?? revision };
    });
    for (const news of seen) this.learn(news);
    return seen;
  }

  /** All node and shard keys as they were at `revision`. */
  listed(nodeKvs: readonly KeyValue[], shardKvs: readonly KeyValue[], revision: number): void {
    const live = nodeKvs.flatMap((kv) => {
      const name = parseKey(kv.key);
      const owner = this.#owner(kv);
      return name?.kind === "node" && owner !== "unreadable" ? [{ ...name, ...owner, modRevision: kv.modRevision }] : [];
    });
    this.#options.nodes.listed(live, revision);
    const owned = new Map(shardKvs.map((kv) => [kv.key, { owner: this.#owner(kv), age: kv.modRevision }]));
    this.#options.shards.listed(owned, revision);
  }

  homeNews(name: Extract<KeyName, { kind: "home" }>, kv: KeyValue | undefined, age: number): HomeNews {
    if (kv === undefined) return { home: name.region, modRevision: 0, age };
    try {
      return { home: parseHome(kv).home, modRevision: kv.modRevision, age };
    } catch (error) {
      this.#unreadable(kv, error);
      return { home: undefined, modRevision: kv.modRevision, age };
    }
  }

  #owner(kv: KeyValue): ReturnType<typeof parseOwner> | "unreadable" {
    try {
      return parseOwner(kv);
    } catch (error) {
      this.#unreadable(kv, error);
      return "unreadable";
    }
  }

  #unreadable(kv: KeyValue, error: unknown): void {
    const { code, message, advice } = MeridianError.from(error);
    this.#options.telemetry.log("error", "coordinator.key-unreadable", { key: kv.key, code, message, advice });
    this.#options.telemetry.count("coordinator.key-unreadable");
  }
}
