/**
 * Which node coordinates a statement: one in the own data center that holds the rows, then the others there, then those of
 * the other data centers, the nearest first.
 *
 * The driver's own policies know the own data center only. When its last node is gone, every statement fails, though a
 * majority of the replicas is up; with one node a data center that is the first fault. Local statements do stay in the
 * own data center: a LOCAL_ level means the data center of whoever coordinates, so from elsewhere it would quietly
 * read another region's replicas.
 */
import { type Client, type EmptyCallback, type ExecutionOptions, type Host, policies, types } from "cassandra-driver";
import type { Reach, Suspects } from "./suspects.ts";

export interface NearestFirstOptions {
  readonly keyspace: string;
  readonly localDataCenter: string;
  /** The nearest first; data centers that are not named come last. */
  readonly otherDataCenters: readonly string[];
  readonly suspects: Suspects;
  /** Which statements use this policy. */
  readonly reach: Reach;
}

type Callback = (error: Error, iterator: Iterator<Host>) => void;

export class NearestFirst extends policies.loadBalancing.LoadBalancingPolicy {
  readonly #options: NearestFirstOptions;
  readonly #dataCenters: readonly string[];
  #client: Client | undefined;
  /** Turns, so that nodes of one data center share the work. */
  #turn = 0;

  constructor(options: NearestFirstOptions) {
    super();
    this.#options = options;
    this.#dataCenters = [options.localDataCenter, ...options.otherDataCenters];
  }

  override init(client: Client, _hosts: unknown, callback: EmptyCallback): void {
    this.#client = client;
    callback(null as unknown as Error);
  }

  /** Not "ignored" for any node: connections are opened before they are needed. */
  override getDistance(host: Host): types.distance {
    return host.datacenter === this.#options.localDataCenter ? types.distance.local : types.distance.remote;
  }

  override newQueryPlan(_keyspace: string, execution: ExecutionOptions | null, callback: Callback): void {
    const plan = this.#plan(execution?.getRoutingKey() ?? undefined);
    // The types want an error even where there is none.
    callback(null as unknown as Error, plan[Symbol.iterator]());
  }

  override getOptions(): Map<string, object> {
    return new Map();
  }

  #plan(routingKey: Buffer | Buffer[] | undefined): readonly Host[] {
    const { suspects, reach, keyspace, localDataCenter } = this.#options;
    const client = this.#client;
    if (client === undefined) return [];
    const hosts = client.hosts.values().filter((host) => reach === "global" || host.datacenter === localDataCenter);
    const usable = reach === "local" ? hosts.filter((host) => !suspects.isSuspected(host.address, "local")) : hosts;
    if (usable.length <= 1) return usable;
    // Statements without a bound key, as those with epoch marks, have none here.
    const replicas = Buffer.isBuffer(routingKey) ? (client.getReplicas(keyspace, routingKey) ?? []) : [];
    this.#turn = (this.#turn + 1) % usable.length;
    const rotated = [...usable.slice(this.#turn), ...usable.slice(0, this.#turn)];
    const ranked = rotated.map((host) => ({ host, rank: this.#rank(host, replicas) }));
    return ranked.sort((a, b) => a.rank - b.rank).map(({ host }) => host);
  }

  /** Suspects behind all others, then by distance, then those without a replica behind those with one. */
  #rank(host: Host, replicas: readonly Host[]): number {
    const found = this.#dataCenters.indexOf(host.datacenter);
    const distance = found < 0 ? this.#dataCenters.length : found;
    const isSuspected = this.#options.suspects.isSuspected(host.address, "global");
    return (isSuspected ? 1_000 : 0) + 2 * distance + (replicas.includes(host) ? 0 : 1);
  }
}
