import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Cluster } from "../scripts/engines/cassandra/cluster.mjs";
import * as etcd from "../scripts/engines/etcd.mjs";
import { freePorts, home } from "../scripts/engines/process.mjs";
import { init } from "../src/adapters/cassandra/init.ts";
import { CassandraSession } from "../src/adapters/cassandra/session.ts";
import { SystemClock } from "../src/adapters/system/clock.ts";
import { SystemRandom } from "../src/adapters/system/random.ts";
import { ConsoleTelemetry } from "../src/adapters/system/telemetry.ts";

export const KEYSPACE = "bench";

const running = new Set<{ close(): Promise<void> }>();

/** For an end before the end: servers would go on without the program that started them. */
export async function closeEngines(): Promise<void> {
  await Promise.all([...running].map((engine) => engine.close()));
}

/** Where a node of Cassandra is found: what the adapter and the bare driver are given. */
export interface CassandraPlace {
  readonly contactPoints: readonly string[];
  readonly port: number;
  readonly localDataCenter: string;
  readonly otherDataCenters: readonly string[];
}

/** Three data centers of Cassandra with an empty keyspace, on ports of their own, gone with everything when closed. */
export class BenchCassandra {
  readonly place: CassandraPlace;
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
    const [localDataCenter = "", ...otherDataCenters] = cluster.members.map(({ dataCenter }) => dataCenter);
    this.place = {
      contactPoints: cluster.members.map(({ address, port }) => `${address}:${port}`),
      port: cluster.members[0]?.port ?? 0,
      localDataCenter,
      otherDataCenters,
    };
  }

  static async start(say: (line: string) => void): Promise<BenchCassandra> {
    const [port, storagePort] = await freePorts(2);
    const cassandra = new BenchCassandra(new Cluster({ folder: join(home, "bench", "cassandra"), port, storagePort }));
    // What an interrupted run has left.
    await cassandra.close();
    running.add(cassandra);
    try {
      await cassandra.#cluster.up({ say });
      const { localDataCenter, otherDataCenters } = cassandra.place;
      const session = await connectSession(cassandra.place);
      await init({ session, replicas: new Map([localDataCenter, ...otherDataCenters].map((each) => [each, 1])) });
      await session.close();
      return cassandra;
    } catch (error) {
      await cassandra.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#cluster.wipe({ say: () => {} });
  }
}

/** As a node connects. */
export function connectSession(place: CassandraPlace): Promise<CassandraSession> {
  const telemetry = new ConsoleTelemetry({ level: "warn" });
  return CassandraSession.connect({
    ...place,
    keyspace: KEYSPACE,
    clock: new SystemClock({ errorMs: 100 }),
    random: new SystemRandom(),
    telemetry,
  });
}

interface EtcdSettings {
  readonly folder: string;
  readonly members: { readonly name: string; readonly client: number; readonly peer: number; readonly metrics: number }[];
}

/** Three members of etcd. */
export class BenchEtcd {
  readonly endpoints: readonly string[];
  readonly #settings: EtcdSettings;

  private constructor(settings: EtcdSettings, endpoints: readonly string[]) {
    this.#settings = settings;
    this.endpoints = endpoints;
  }

  static async start(): Promise<BenchEtcd> {
    const folder = join(home, "bench", "etcd");
    const ports = await freePorts(3 * etcd.NODES.length);
    const members = etcd.NODES.map((name, at) => {
      const [client = 0, peer = 0, metrics = 0] = ports.slice(3 * at);
      return { name, client, peer, metrics };
    });
    const bench = new BenchEtcd(
      { folder, members },
      members.map(({ client }) => `127.0.0.1:${client}`),
    );
    await bench.close();
    running.add(bench);
    await etcd.up(bench.#settings);
    return bench;
  }

  async close(): Promise<void> {
    await etcd.wipe(this.#settings);
    await rm(this.#settings.folder, { recursive: true, force: true });
  }
}
