import { GrpcNetwork } from "../adapters/grpc/channel.ts";
import { GrpcServer } from "../adapters/grpc/server.ts";
import { LmdbCoordinator } from "../adapters/lmdb/coordinator.ts";
import { Database } from "../adapters/lmdb/database.ts";
import { LmdbLogStore } from "../adapters/lmdb/log-store.ts";
import { SystemClock } from "../adapters/system/clock.ts";
import { SystemRandom } from "../adapters/system/random.ts";
import { ConsoleTelemetry } from "../adapters/system/telemetry.ts";
import type { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { NodeConfig } from "../node/config.ts";
import { MeridianNode } from "../node/node.ts";
import type { Clock } from "../ports/clock.ts";
import type { ServiceRegistration } from "../ports/network.ts";

/** How long calls that are under way may take to end when the node stops. */
const GRACE_MS = 2_000;

export interface Serving {
  /** Where clients and operators reach the node. */
  readonly clients: string;
  readonly admin: string;
  readonly node: MeridianNode;
  /** Hands everything back and ends; what is acknowledged is on the disk anyway. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly config: NodeConfig;
  readonly version: string;
  /** Another process has taken the data directory: this one must exit at once. */
  readonly onOwnerLost: (error: MeridianError) => void;
}

/** One region on one machine: the node with its coordinator and its log in one LMDB environment. */
export async function serve({ config, version, onOwnerLost }: ServeOptions): Promise<Serving> {
  const clock = new SystemClock({ errorMs: config.clockErrorMs });
  const random = new SystemRandom();
  const telemetry = new ConsoleTelemetry({ level: config.logLevel });
  const database = await Database.open(config.data, { onOwnerLost });
  const coordinator = await LmdbCoordinator.open(database, clock);
  const node = new MeridianNode({
    node: config.node,
    region: config.region,
    regions: [config.region],
    address: config.peerListen,
    version,
    bodyBytesMax: config.bodyBytesMax,
    lease: {
      ttlMs: LIMITS.embeddedLeaseTtlMs,
      renewMs: LIMITS.embeddedLeaseRenewMs,
      marginMs: LIMITS.embeddedLeaseMarginMs,
    },
    coordinator,
    store: new LmdbLogStore({ database, telemetry }),
    network: new GrpcNetwork(),
    clock,
    random,
    telemetry,
    counters: () => telemetry.counters(),
  });
  const servers: GrpcServer[] = [];
  const health = new Health(node, clock, servers);
  const stop = async () => {
    health.stop();
    await node.stop();
    await Promise.all(servers.map((server) => server.close({ graceMs: GRACE_MS })));
    await coordinator.close();
    await database.close();
  };
  try {
    // A node that listened before it leads would refuse what it is sent in its first moments.
    await node.start();
    const listen = async (address: string, services: readonly ServiceRegistration[]) => {
      const server = await GrpcServer.listen({ clock, telemetry, address, services });
      servers.push(server);
      return server.address;
    };
    const clients = await listen(config.listen, node.services.clients);
    await listen(config.peerListen, node.services.peers);
    const admin = await listen(config.adminListen, node.services.operators);
    health.tell();
    return { clients, admin, node, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const HEALTH_MS = 1_000;

/** Tells health checks, every second, whether the node serves now: it has a lease and a worker number. */
class Health {
  readonly #node: MeridianNode;
  readonly #clock: Clock;
  readonly #servers: readonly GrpcServer[];
  #cancel: () => void = () => {};

  constructor(node: MeridianNode, clock: Clock, servers: readonly GrpcServer[]) {
    this.#node = node;
    this.#clock = clock;
    this.#servers = servers;
  }

  tell(): void {
    const serving = this.#node.reasons().length === 0;
    for (const server of this.#servers) server.setServing(serving);
    this.#cancel = this.#clock.after(HEALTH_MS, () => this.tell());
  }

  stop(): void {
    this.#cancel();
  }
}
