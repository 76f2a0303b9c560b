import type { Breaker } from "../src/cli/load/breaker.ts";
import type { World } from "./world.ts";

/** Loses regions as an outage does: their nodes, their data center of Cassandra and their member of etcd by `kill -9` at once. */
export class RegionBreaker implements Breaker {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  async kill(region: string): Promise<void> {
    const { nodes, dataCenter, member, engines } = this.#in(region);
    await Promise.all([...nodes.map((node) => node.kill()), engines.cassandra.on("kill", dataCenter), engines.etcd.kill(member)]);
  }

  /** Its own engines first: a node looks at both before it joins. */
  async restore(region: string): Promise<void> {
    const { nodes, dataCenter, member, engines } = this.#in(region);
    await Promise.all([engines.cassandra.on("up", dataCenter), engines.etcd.up(member)]);
    await Promise.all(nodes.map((node) => node.start()));
  }

  /** What the data center missed it gets as hints, in its own time: a majority does without it. */
  async isWhole(region: string): Promise<boolean> {
    const statuses = await Promise.allSettled(this.#in(region).nodes.map((node) => node.status()));
    return statuses.every((status) => status.status === "fulfilled" && status.value.ready);
  }

  regionOf(node: string): string | undefined {
    return this.#world.regionOf(node);
  }

  #in(region: string) {
    const { engines, regions } = this.#world;
    const at = regions.indexOf(region);
    const [dataCenter, member] = [engines.cassandra.dataCenters[at], engines.etcd.names[at]];
    if (dataCenter === undefined || member === undefined) throw new Error(`there is no region ${region}`);
    return { nodes: this.#world.nodesIn(region), dataCenter, member, engines };
  }
}
