import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../scripts/engines/process.mjs";
import type { Wan } from "../scripts/engines/wan.mjs";
import { run } from "../scripts/lib.mjs";
import { DelayProxy } from "../src/adapters/wan/delay-proxy.ts";
import { BothEngines } from "../test/support/both-engines.ts";
import { YIELDING } from "../test/support/cassandra.ts";
import { clock } from "./clock.ts";
import { Gate } from "./gate.ts";
import { type Ground, LOOPBACK } from "./ground.ts";
import { NodeProcess } from "./node-process.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
export const KEYSPACE = "chaos";

const MAIN = join(ROOT, "dist", "cli", "main.js");

/** An etcd leader change delays keep-alives by up to 4 s; the margin is above an election timeout of 1 s. */
export const LEASE: Lease = { ttlMs: 6_000, marginMs: 1_500, renewMs: 500 };

export interface Lease {
  readonly ttlMs: number;
  readonly marginMs: number;
  readonly renewMs: number;
}

export interface WorldOptions {
  /** What engines and nodes keep, and say, lies here. */
  readonly folder: string;
  /** Whether etcd waits for its disk: only a loss of power tells. */
  readonly fsync: boolean;
  readonly lease: Lease;
  /** Whether the first region has a second node, so that shards also move inside a region. */
  readonly hasSecond: boolean;
  /** What they stand on; by default the loopback. */
  readonly wan?: Wan | undefined;
  readonly say: (line: string) => void;
}

interface Name {
  readonly node: string;
  readonly region: string;
}

/**
 * A whole cluster on this machine: engines, node processes, and doors in between that can be shut. Clients are in this process,
 * whatever ground the servers stand on.
 */
export class World {
  readonly engines: BothEngines;
  readonly lease: Lease;
  /** What it stands on, unless that is the loopback. */
  readonly wan: Wan | undefined;
  readonly regions: readonly string[];
  readonly nodes: readonly NodeProcess[];
  /** By node: between it and each member of etcd. On the loopback only: from elsewhere a node does not reach this process. */
  readonly etcdGates: ReadonlyMap<string, readonly Gate[]>;
  /** By node: between all clients and it. */
  readonly clientGates: ReadonlyMap<string, Gate>;
  /** By a client's region and a node of another one: a longer way to that door. */
  readonly #farDoors: ReadonlyMap<string, DelayProxy>;

  private constructor(
    parts: Pick<World, "engines" | "lease" | "wan" | "regions" | "nodes" | "etcdGates" | "clientGates">,
    farDoors: ReadonlyMap<string, DelayProxy>,
  ) {
    this.#farDoors = farDoors;
    this.engines = parts.engines;
    this.lease = parts.lease;
    this.wan = parts.wan;
    this.regions = parts.regions;
    this.nodes = parts.nodes;
    this.etcdGates = parts.etcdGates;
    this.clientGates = parts.clientGates;
  }

  /** With fresh engines. */
  static async start({ folder, fsync, lease, hasSecond, wan, say }: WorldOptions): Promise<World> {
    mkdirSync(folder, { recursive: true });
    const ground: Ground = wan ?? LOOPBACK;
    const engines = await BothEngines.start({ folder, fsync, say, sites: ground.sites, before: YIELDING });
    const topology = JSON.parse(readFileSync(join(ROOT, "regions", "topology.json"), "utf8")) as {
      readonly regions: Readonly<Record<string, { readonly dataCenter: string }>>;
    };
    const regions = Object.keys(topology.regions);
    const names = regions.flatMap((region, at) => [
      { node: `${region}-1`, region },
      ...(at === 0 && hasSecond ? [{ node: `${region}-2`, region }] : []),
    ]);
    const etcdGates = new Map<string, readonly Gate[]>();
    const clientGates = new Map<string, Gate>();
    const farDoors = new Map<string, DelayProxy>();
    const nodes: NodeProcess[] = [];
    for (const name of names) {
      const { host, before } = ground.sites?.[regions.indexOf(name.region)] ?? { host: "127.0.0.1", before: [] };
      const ordered = nearestFirst(regions, name.region, ground);
      const members = ordered.map((region) => engines.etcd.endpoints[regions.indexOf(region)] ?? "");
      const gates = ground.sites === undefined ? await Promise.all(members.map((member) => Gate.open(member))) : [];
      etcdGates.set(name.node, gates);
      const etcd = gates.length > 0 ? gates.map(({ address }) => address) : members;
      const addresses = (await freePorts(4)).map((port: number) => `${host}:${port}`);
      const door = await Gate.open(addresses[0] ?? "");
      clientGates.set(name.node, door);
      for (const from of regions.filter((region) => region !== name.region)) {
        const oneWayMs = ground.oneWayMs(from, name.region);
        const far = { clock, listen: "127.0.0.1:0", target: () => door.address, oneWayMs };
        farDoors.set(`${from} ${name.node}`, await DelayProxy.listen(far));
      }
      const config = configOf({ name, addresses, ordered, dataCenters: topology.regions, etcd, engines, lease });
      nodes.push(new NodeProcess(config, folder, before));
    }
    const world = new World({ engines, lease, wan, regions, nodes, etcdGates, clientGates }, farDoors);
    try {
      await init(nodes[0] as NodeProcess);
      await Promise.all(nodes.map((node) => node.start()));
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  node(name: string): NodeProcess {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  nodesIn(region: string): readonly NodeProcess[] {
    return this.nodes.filter((node) => node.region === region);
  }

  regionOf(node: string): string | undefined {
    return this.nodes.find(({ name }) => name === node)?.region;
  }

  /** How clients that live in a region reach the nodes: their own first. */
  endpointsFrom(region: string): readonly string[] {
    const own = this.nodesIn(region);
    const others = this.nodes.filter((node) => node.region !== region);
    const near = own.map(({ name }) => this.clientGates.get(name)?.address ?? "");
    return [...near, ...others.map(({ name }) => this.#farDoors.get(`${region} ${name}`)?.address ?? "")];
  }

  /** By counter and node, since each node's start; of those that answer. */
  async counters(): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
    const found = new Map<string, Map<string, number>>();
    const statuses = await Promise.allSettled(this.nodes.filter(({ isRunning }) => isRunning).map((node) => node.status()));
    for (const status of statuses) {
      if (status.status === "rejected") continue;
      const { node, counters } = status.value;
      for (const [name, count] of Object.entries(counters)) {
        found.set(name, (found.get(name) ?? new Map<string, number>()).set(node, Number(count)));
      }
    }
    return found;
  }

  /** Everything; the engines' data is deleted, the logs of the nodes stay. */
  async stop(): Promise<void> {
    for (const node of this.nodes) node.resume();
    for (const gate of [...this.etcdGates.values()].flat()) gate.shut("open");
    const ends = await Promise.allSettled(this.nodes.map((node) => node.stop()));
    await this.engines.stop();
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    for (const gate of [...this.etcdGates.values(), ...this.clientGates.values()].flat()) gate.close();
    await Promise.all([...this.#farDoors.values()].map((door) => door.close()));
  }
}

/** The regions as one of them sees them: itself first. Where all are equally far each one begins elsewhere. */
function nearestFirst(regions: readonly string[], own: string, ground: Ground): readonly string[] {
  const at = regions.indexOf(own);
  const farMs = (region: string) => (region === own ? 0 : ground.oneWayMs(own, region));
  return [...regions.slice(at), ...regions.slice(0, at)].sort((a, b) => farMs(a) - farMs(b));
}

function configOf(options: {
  readonly name: Name;
  readonly addresses: readonly string[];
  /** The regions, the nearest first. */
  readonly ordered: readonly string[];
  readonly dataCenters: Readonly<Record<string, { readonly dataCenter: string }>>;
  readonly etcd: readonly string[];
  readonly engines: BothEngines;
  readonly lease: Lease;
}) {
  const { name, addresses, dataCenters, etcd, engines, lease } = options;
  const ordered = options.ordered.map((region) => ({ region, dataCenter: dataCenters[region]?.dataCenter ?? "" }));
  const members = engines.cassandra.contactPoints;
  const [listen = "", peerListen = "", adminListen = "", healthListen = ""] = addresses;
  return {
    ...name,
    regions: Object.fromEntries(ordered.map(({ region, dataCenter }) => [region, dataCenter])),
    ...{ listen, peerListen, adminListen, healthListen },
    // On every ground: none of them is anybody else's network.
    insecure: true,
    etcd: { endpoints: etcd, prefix: "chaos/" },
    cassandra: {
      contactPoints: ordered.map(({ dataCenter }) => members.get(dataCenter)?.address ?? ""),
      port: members.get(ordered[0]?.dataCenter ?? "")?.port,
      keyspace: KEYSPACE,
      replicas: 1,
    },
    lease,
    logLevel: "info",
  };
}

async function init(node: NodeProcess): Promise<void> {
  const { code, output } = await run(process.execPath, [MAIN, "init", "--config", node.file], { quiet: true });
  if (code !== 0) throw new Error(`meridian init ended with ${code}: ${output}`);
}
