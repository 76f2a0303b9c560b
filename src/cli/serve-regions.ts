/**
 * All regions of a topology in this process: a node and a replica of the log in each, real gRPC between them, and the
 * distances of the topology in between. It shows and tests what a cluster does, on one machine without servers.
 *
 * The coordinator stands outside of the regions, in an LMDB environment of its own: it imitates a majority of voters,
 * one in each region, and a majority outlives any one of them. One disk holds everything, so it does not outlive the disk.
 */
import { join } from "node:path";
import { GrpcNetwork } from "../adapters/grpc/channel.ts";
import { GrpcServer } from "../adapters/grpc/server.ts";
import { LmdbCoordinator } from "../adapters/lmdb/coordinator.ts";
import { Database } from "../adapters/lmdb/database.ts";
import { LmdbLogStore } from "../adapters/lmdb/log-store.ts";
import { SystemClock } from "../adapters/system/clock.ts";
import { SystemRandom } from "../adapters/system/random.ts";
import { ConsoleTelemetry } from "../adapters/system/telemetry.ts";
import { DelayedCoordinator } from "../adapters/wan/delayed-coordinator.ts";
import { createEmulationService } from "../adapters/wan/emulation-service.ts";
import { Healer } from "../adapters/wan/healer.ts";
import { Links } from "../adapters/wan/links.ts";
import { ReplicatedLogStore } from "../adapters/wan/replicated-log-store.ts";
import { ReplicationLag } from "../adapters/wan/replication-lag.ts";
import { Roads } from "../adapters/wan/roads.ts";
import { SkewedClock } from "../adapters/wan/skewed-clock.ts";
import { EmulationService } from "../gen/meridian/v1/emulation_pb.ts";
import type { MeridianError } from "../kernel/errors.ts";
import type { RegionsConfig } from "../node/config.ts";
import { MeridianNode } from "../node/node.ts";
import type { Topology } from "../node/topology.ts";
import { EMBEDDED_LEASE } from "./serve.ts";
import { ServedNode } from "./served-node.ts";

export interface ServeRegionsOptions {
  readonly config: RegionsConfig;
  readonly topology: Topology;
  readonly version: string;
  /** Takes the nodes' log lines. */
  readonly log: (line: string) => void;
  /** Another process has taken the data directory: this one must exit at once. */
  readonly onOwnerLost: (error: MeridianError) => void;
}

/** One region of several in this process. */
export interface ServedRegion {
  readonly region: string;
  readonly clients: string;
  readonly admin: string;
  readonly node: MeridianNode;
  counters(): ReadonlyMap<string, number>;
}

export interface ServingRegions {
  readonly regions: readonly ServedRegion[];
  /** The regions that are lost now, and those whose replicas may lack something. */
  faults(): { readonly lost: readonly string[]; readonly behind: readonly string[] };
  /** Since the last call: how long batches take to reach each region's disk, in milliseconds. */
  takeLag(): ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** The system's timers fire so much late, as measured: ways are shortened by it, to be as long as the topology says. */
const TIMER_LATE_MS = 1;

/** Throws UNAVAILABLE, with everything closed again, when an address or a data directory cannot be had. */
export async function serveRegions(options: ServeRegionsOptions): Promise<ServingRegions> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const step of closing.reverse()) await step();
  };
  try {
    return { ...(await start(options, closing)), stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Puts what is to be closed into `closing`, in the order of opening. */
async function start(
  { config, topology, version, log, onOwnerLost }: ServeRegionsOptions,
  closing: (() => Promise<unknown>)[],
): Promise<Omit<ServingRegions, "stop">> {
  const clock = new SystemClock({ errorMs: config.clockErrorMs });
  const random = new SystemRandom();
  const wide = new ConsoleTelemetry({ level: config.logLevel, write: log });
  const { names: regions, coordinator: seat } = topology;
  const oneWayMs = (a: string, b: string) => Math.max(0, topology.oneWayMs(a, b) - (a === b ? 0 : TIMER_LATE_MS));
  const links = new Links({ clock, regions, oneWayMs, coordinator: seat });
  const doors = new Map(topology.regions.map(({ name, embedded }) => [name, embedded.clients]));
  // The doors before the data: whoever finds a port taken must not have taken the data from who has the port.
  const roads = await Roads.open({ links, clock, doors, rttMs: (a, b) => 2 * topology.oneWayMs(a, b) });
  closing.push(() => roads.close());

  const open = async (part: string) => {
    const database = await Database.open(join(config.data, part), { onOwnerLost });
    closing.push(() => database.close());
    return database;
  };
  // All are taken over before the leases of former runs are dropped: until then a former run may still lead.
  const coordinatorDatabase = await open("coordinator");
  const databases = new Map<string, Database>();
  for (const region of regions) databases.set(region, await open(region));
  const coordinator = await LmdbCoordinator.open(coordinatorDatabase, clock);
  closing.push(() => coordinator.close());

  const replicas = mapOf(databases, (database) => new LmdbLogStore({ database, telemetry: wide }));
  const healer = new Healer({ replicas, links, clock, random, telemetry: wide });
  healer.start();
  closing.push(() => healer.stop());
  const lag = new ReplicationLag();
  const clocks = new Map(regions.map((region) => [region, new SkewedClock(clock)]));
  const nodes = new Map<string, ServedNode>();
  const leaseTtlMs = EMBEDDED_LEASE.ttlMs;
  const admin = (region: string) => nodes.get(region)?.admin ?? topology.region(region).embedded.admin;
  const emulation = createEmulationService({ links, roads, healer, clocks, admin, coordinator: seat, leaseTtlMs });

  const startNode = async (region: string, regionClock: SkewedClock): Promise<ServedRegion> => {
    const telemetry = new ConsoleTelemetry({ level: config.logLevel, write: log, fields: { region } });
    const counters = () => new Map([...wide.counters(), ...telemetry.counters()]);
    const store = new ReplicatedLogStore({
      region,
      replicas,
      links,
      clock,
      telemetry,
      missed: (missing) => healer.request(missing),
      stored: (where, afterMs) => lag.add(where, afterMs),
    });
    const { clients: door, peers, admin: adminAddress } = topology.region(region).embedded;
    const node = new MeridianNode({
      node: `${region}-1`,
      region,
      regions,
      address: `${region}${peers.slice(peers.lastIndexOf(":"))}`,
      version,
      bodyBytesMax: config.bodyBytesMax,
      lease: EMBEDDED_LEASE,
      coordinator: new DelayedCoordinator({ region, coordinator, links, clock }),
      store,
      network: roads.network(region, new GrpcNetwork()),
      clock: regionClock,
      random,
      telemetry,
      counters,
    });
    const served = await ServedNode.start({
      node,
      clock,
      telemetry,
      addresses: { clients: "127.0.0.1:0", peers, admin: adminAddress },
      operators: [{ service: EmulationService, handlers: emulation }],
      listen: (address, services) => GrpcServer.listen({ clock, telemetry, address, services }),
    });
    nodes.set(region, served);
    roads.lead(region, served);
    return { region, clients: roads.routes(region)[0]?.address ?? door, admin: served.admin, node, counters };
  };
  const starting = [...clocks].map(([region, regionClock]) => startNode(region, regionClock));
  closing.push(() => Promise.all([...nodes.values()].map((node) => node.stop())));
  await Promise.allSettled(starting);
  const served = await Promise.all(starting);

  return {
    regions: served,
    faults: () => ({ lost: links.faults.lost, behind: healer.behind() }),
    takeLag: () => lag.take(),
  };
}

function mapOf<K, A, B>(map: ReadonlyMap<K, A>, change: (value: A) => B): ReadonlyMap<K, B> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}
