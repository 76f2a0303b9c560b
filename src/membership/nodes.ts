import { digest64 } from "../kernel/hash.ts";
import { keys, type Owner } from "./keys.ts";

export interface LiveNode extends Owner {
  readonly region: string;
  readonly node: string;
  readonly modRevision: number;
}

/**
 * The nodes that have a key, and which of them is to own which shard: a view that may be late or wrong. It decides only
 * what is tried; who owns a shard is decided by the guards of the transactions.
 */
export class Nodes {
  readonly #live = new Map<string, LiveNode>();
  /** Of each node key the revision of the newest news. Those of deleted keys go with the next listing. */
  readonly #ages = new Map<string, number>();
  /** Of the last complete listing: older news is in it already. */
  #floor = 0;
  #excluded: string | undefined;
  readonly #chosen = new Map<string, LiveNode | undefined>();
  readonly #watchers = new Set<() => void>();

  /** All that have a key, in no order. */
  all(): readonly LiveNode[] {
    return [...this.#live.values()];
  }

  /** `changed` is called after each change; it must not throw. The answer ends that. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** News of one node key; `owner` is undefined when the key is gone. */
  learn(region: string, node: string, owner: Owner | undefined, age: number): void {
    const key = keys.node(region, node);
    if (age <= Math.max(this.#floor, this.#ages.get(key) ?? 0)) return;
    this.#ages.set(key, age);
    if (owner === undefined) this.#live.delete(key);
    else this.#live.set(key, { region, node, modRevision: age, ...owner });
    this.#changed();
  }

  /** These are all nodes there were at `revision`. */
  listed(nodes: readonly LiveNode[], revision: number): void {
    const listed = new Set(nodes.map(({ region, node }) => keys.node(region, node)));
    for (const node of nodes) this.learn(node.region, node.node, node, node.modRevision);
    for (const [key, age] of this.#ages) {
      if (age > revision || listed.has(key)) continue;
      this.#live.delete(key);
      this.#ages.delete(key);
    }
    this.#floor = Math.max(this.#floor, revision);
    this.#changed();
  }

  /** This node is leaving: it is not chosen any more, whatever is told of its key. */
  exclude(region: string, node: string): void {
    this.#excluded = keys.node(region, node);
    this.#chosen.clear();
  }

  forget(): void {
    this.#live.clear();
    this.#ages.clear();
    this.#floor = 0;
    this.#changed();
  }

  get(region: string, node: string): LiveNode | undefined {
    return this.#live.get(keys.node(region, node));
  }

  /** Who should own the shard: by rendezvous one of its region's nodes, or of another region's if it has none. */
  choose(region: string, shard: number): LiveNode | undefined {
    const key = keys.shard(region, shard);
    if (!this.#chosen.has(key)) this.#chosen.set(key, this.#choose(key, region));
    return this.#chosen.get(key);
  }

  #changed(): void {
    this.#chosen.clear();
    for (const changed of this.#watchers) changed();
  }

  #choose(key: string, region: string): LiveNode | undefined {
    const all = [...this.#live].flatMap(([name, node]) => (name === this.#excluded ? [] : [node]));
    const own = all.filter((node) => node.region === region);
    if (own.length > 0) return highest(own, (node) => `${node.node}\0${key}`);
    const stead = highest([...new Set(all.map((node) => node.region))], (other) => `${other}\0${key}`);
    return highest(
      all.filter((node) => node.region === stead),
      (node) => `${node.node}\0${key}`,
    );
  }
}

/** Rendezvous by a cryptographic hash: node names differ in little, and FNV-1a would favour one of them. */
function highest<T>(candidates: readonly T[], name: (candidate: T) => string): T | undefined {
  let best: { readonly candidate: T; readonly weight: bigint } | undefined;
  for (const candidate of candidates) {
    const weight = digest64(encoder.encode(name(candidate)));
    if (best === undefined || weight > best.weight) best = { candidate, weight };
  }
  return best?.candidate;
}

const encoder = new TextEncoder();
