import { GrpcNetwork } from "../adapters/grpc/channel.ts";
import { GrpcServer } from "../adapters/grpc/server.ts";
import { LmdbCoordinator } from "../adapters/lmdb/coordinator.ts";
import { Database } from "../adapters/lmdb/database.ts";
import { LmdbLogStore } from "../adapters/lmdb/log-store.ts";
import { SystemClock } from "../adapters/system/clock.ts";
import { HealthServer } from "../adapters/system/health-server.ts";
import { SystemRandom } from "../adapters/system/random.ts";
import { ConsoleTelemetry } from "../adapters/system/telemetry.ts";
import type { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { EmbeddedConfig } from "../node/config.ts";
import { MeridianNode } from "../node/node.ts";
import { ServedNode } from "./served-node.ts";

export interface Serving {
  /** Where clients and operators reach the node. */
  readonly clients: string;
  readonly admin: string;
  /** Where health checks reach it by HTTP, if they do. */
  readonly health: string | undefined;
  /** Hands everything back and ends; what is acknowledged is on the disk anyway. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly config: EmbeddedConfig;
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
  const close = async () => {
    await coordinator.close();
    await database.close();
  };
  const node = new MeridianNode({
    node: config.node,
    region: config.region,
    regions: [config.region],
    address: config.peerListen,
    version,
    bodyBytesMax: config.bodyBytesMax,
    lease: EMBEDDED_LEASE,
    coordinator,
    store: new LmdbLogStore({ database, telemetry }),
    network: new GrpcNetwork(),
    clock,
    random,
    telemetry,
    counters: () => telemetry.counters(),
  });
  try {
    const served = await ServedNode.start({
      node,
      clock,
      telemetry,
      addresses: { clients: config.listen, peers: config.peerListen, admin: config.adminListen },
      listen: (address, services) => GrpcServer.listen({ clock, telemetry, address, services }),
      listenHealth: healthAt(config.healthListen),
    });
    const stop = async () => {
      await served.stop();
      await close();
    };
    return { clients: served.clients, admin: served.admin, health: served.health, stop };
  } catch (error) {
    await close();
    throw error;
  }
}

export function healthAt(address: string | undefined) {
  if (address === undefined) return undefined;
  return (reasons: () => readonly string[]) => HealthServer.listen({ address, reasons });
}

export const EMBEDDED_LEASE = {
  ttlMs: LIMITS.embeddedLeaseTtlMs,
  renewMs: LIMITS.embeddedLeaseRenewMs,
  marginMs: LIMITS.embeddedLeaseMarginMs,
};
