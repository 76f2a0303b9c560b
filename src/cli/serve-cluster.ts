/**
 * One node of a cluster: etcd says who leads, Cassandra keeps the log. Neither is started or changed here; a node that
 * finds them other than it needs them does not start.
 */
import { CassandraLogStore } from "../adapters/cassandra/log-store.ts";
import { EtcdCoordinator } from "../adapters/etcd/coordinator.ts";
import { GrpcNetwork } from "../adapters/grpc/channel.ts";
import { GrpcServer } from "../adapters/grpc/server.ts";
import { SystemClock } from "../adapters/system/clock.ts";
import { SystemRandom } from "../adapters/system/random.ts";
import { ConsoleTelemetry } from "../adapters/system/telemetry.ts";
import type { ClusterConfig } from "../node/config.ts";
import { MeridianNode } from "../node/node.ts";
import { StoreHealth } from "../node/store-health.ts";
import type { Clock } from "../ports/clock.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { accessTo } from "./access.ts";
import { healthAt, type Serving } from "./serve.ts";
import { checkedCassandra } from "./serve-cassandra.ts";
import { ServedNode } from "./served-node.ts";

export interface ServeClusterOptions {
  readonly config: ClusterConfig;
  readonly version: string;
}

/** Resolves once the node serves. Throws, with everything closed again, INVALID_ARGUMENT, UNAVAILABLE and CORRUPT. */
export async function serveCluster(options: ServeClusterOptions): Promise<Serving> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const { clients, admin, health } = await start(options, closing);
    return { clients, admin, health, stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Puts what is to be closed into `closing`, in the order of opening. */
async function start({ config, version }: ServeClusterOptions, closing: (() => Promise<unknown>)[]): Promise<ServedNode> {
  const { node: name, region, lease, bodyBytesMax, listen, peerListen, adminListen } = config;
  const clock = new SystemClock({ errorMs: config.clockErrorMs });
  const random = new SystemRandom();
  const telemetry = new ConsoleTelemetry({ level: config.logLevel, fields: { region, node: name } });
  const coordinator = await openEtcd(config, clock, telemetry);
  closing.push(() => coordinator.close());
  const session = await checkedCassandra(config, { clock, random, telemetry });
  closing.push(() => session.close());
  const store = new CassandraLogStore({ session });
  const storeHealth = new StoreHealth({ store, clock, telemetry });
  storeHealth.start();
  closing.push(() => storeHealth.stop());
  const node = new MeridianNode({
    node: name,
    region,
    regions: Object.keys(config.regions),
    address: peerListen,
    version,
    bodyBytesMax,
    lease,
    coordinator,
    store,
    network: new GrpcNetwork(),
    clock,
    random,
    telemetry,
    counters: () => telemetry.counters(),
    storeFault: () => storeHealth.fault(),
  });
  const served = await ServedNode.start({
    node,
    clock,
    telemetry,
    addresses: { clients: listen, peers: peerListen, admin: adminListen },
    listen: (address, services) => GrpcServer.listen({ clock, telemetry, address, services }),
    listenHealth: healthAt(config.healthListen),
  });
  closing.push(() => served.stop());
  return served;
}

async function openEtcd(config: ClusterConfig, clock: Clock, telemetry: Telemetry): Promise<EtcdCoordinator> {
  const { endpoints, prefix } = config.etcd;
  const { login, tls } = await accessTo("etcd", config);
  const pem = ({ ca, cert, key }: NonNullable<typeof tls>) => ({
    ca: Buffer.from(ca),
    ...(cert === undefined ? {} : { cert: Buffer.from(cert) }),
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
  });
  return EtcdCoordinator.open({
    endpoints,
    prefix,
    clock,
    telemetry,
    ...(tls === undefined ? {} : { tls: pem(tls) }),
    ...(login === undefined ? {} : { login: { user: login.username, password: login.password } }),
  });
}
