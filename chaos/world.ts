import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../scripts/engines/process.mjs";
import { run } from "../scripts/lib.mjs";
import { DelayProxy } from "../src/adapters/wan/delay-proxy.ts";
import { BothEngines } from "../test/support/both-engines.ts";
import { clock } from "./clock.ts";
import { Gate } from "./gate.ts";
import { NodeProcess } from "./node-process.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = join(ROOT, "dist", "cli", "main.js");

/** To nodes of other regions, so that clients know which are theirs. */
const FAR_MS = 20;

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
  readonly say: (line: string) => void;
}

interface Site {
  readonly node: string;
  readonly region: string;
}

/**
 * A whole cluster on this machine: engines, node processes, and doors in between that can be shut. The first region has two
 * nodes, so that shards also move inside a region.
 */
export class World {
  readonly engines: BothEngines;
  readonly lease: Lease;
  readonly regions: readonly string[];
  readonly nodes: readonly NodeProcess[];
  /** By node: between it and each member of etcd. */
  readonly etcdGates: ReadonlyMap<string, readonly Gate[]>;
  /** By node: between all clients and it. */
  readonly clientGates: ReadonlyMap<string, Gate>;
  /** By node: a longer way to that door, for clients of other regions. */
  readonly #farDoors: ReadonlyMap<string, DelayProxy>;

  private constructor(
    parts: Pick<World, "engines" | "lease" | "regions" | "nodes" | "etcdGates" | "clientGates">,
    farDoors: ReadonlyMap<string, DelayProxy>,
  ) {
    this.#farDoors = farDoors;
    this.engines = parts.engines;
    this.lease = parts.lease;
    this.regions = parts.regions;
    this.nodes = parts.nodes;
    this.etcdGates = parts.etcdGates;
    this.clientGates = parts.clientGates;
  }

  /** With fresh engines. */
  static async start({ folder, fsync, lease, say }: WorldOptions): Promise<World> {
    mkdirSync(folder, { recursive: true });
    const engines = await BothEngines.start({ folder, fsync, say });
    const topology = JSON.parse(readFileSync(join(ROOT, "regions", "topology.json"), "utf8")) as {
      readonly regions: Readonly<Record<string, { readonly dataCenter: string }>>;
    };
    const regions = Object.keys(topology.regions);
    const sites = regions.flatMap((region, at) => [
      { node: `${region}-1`, region },
      ...(at === 0 ? [{ node: `${region}-2`, region }] : []),
    ]);
    const etcdGates = new Map<string, readonly Gate[]>();
    const clientGates = new Map<string, Gate>();
    const farDoors = new Map<string, DelayProxy>();
    const nodes: NodeProcess[] = [];
    for (const site of sites) {
      const gates = await Promise.all(nearestFirst(engines.etcd.endpoints, regions, site).map((endpoint) => Gate.open(endpoint)));
      etcdGates.set(site.node, gates);
      const addresses = (await freePorts(4)).map((port: number) => `127.0.0.1:${port}`);
      const door = await Gate.open(addresses[0] ?? "");
      clientGates.set(site.node, door);
      const far = { clock, listen: "127.0.0.1:0", target: () => door.address, oneWayMs: FAR_MS };
      farDoors.set(site.node, await DelayProxy.listen(far));
      nodes.push(
        new NodeProcess(configOf({ site, addresses, regions, dataCenters: topology.regions, gates, engines, lease }), folder),
      );
    }
    const world = new World({ engines, lease, regions, nodes, etcdGates, clientGates }, farDoors);
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
    return [...near, ...others.map(({ name }) => this.#farDoors.get(name)?.address ?? "")];
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

/** Of things that stand in the regions' order: the own region's first. */
function nearestFirst(all: readonly string[], regions: readonly string[], { region }: Site): readonly string[] {
  const at = regions.indexOf(region);
  return [...all.slice(at), ...all.slice(0, at)];
}

function configOf(options: {
  readonly site: Site;
  readonly addresses: readonly string[];
  readonly regions: readonly string[];
  readonly dataCenters: Readonly<Record<string, { readonly dataCenter: string }>>;
  readonly gates: readonly Gate[];
  readonly engines: BothEngines;
  readonly lease: Lease;
}) {
  const { site, addresses, regions, dataCenters, gates, engines, lease } = options;
  const ordered = nearestFirst(regions, regions, site).map((region) => ({
    region,
    dataCenter: dataCenters[region]?.dataCenter ?? "",
  }));
  const members = engines.cassandra.contactPoints;
  const [listen = "", peerListen = "", adminListen = "", healthListen = ""] = addresses;
  return {
    ...site,
    regions: Object.fromEntries(ordered.map(({ region, dataCenter }) => [region, dataCenter])),
    ...{ listen, peerListen, adminListen, healthListen },
    etcd: { endpoints: gates.map((gate) => gate.address), prefix: "chaos/" },
    cassandra: {
      contactPoints: ordered.map(({ dataCenter }) => members.get(dataCenter)?.address ?? ""),
      port: members.get(ordered[0]?.dataCenter ?? "")?.port,
      keyspace: "chaos",
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
