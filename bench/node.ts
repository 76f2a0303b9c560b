/** A node of the cluster profile in a process of its own, as it runs in production: started by cluster.ts, ends with it. */
import { CassandraLogStore } from "../src/adapters/cassandra/log-store.ts";
import { EtcdCoordinator } from "../src/adapters/etcd/coordinator.ts";
import { GrpcNetwork } from "../src/adapters/grpc/channel.ts";
import { GrpcServer } from "../src/adapters/grpc/server.ts";
import { SystemClock } from "../src/adapters/system/clock.ts";
import { SystemRandom } from "../src/adapters/system/random.ts";
import { ConsoleTelemetry } from "../src/adapters/system/telemetry.ts";
import { ServedNode } from "../src/cli/served-node.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { MeridianNode } from "../src/node/node.ts";
import type { CassandraPlace } from "../test/support/cassandra.ts";
import { connectSession } from "./engines.ts";

export interface NodeSettings {
  readonly region: string;
  readonly etcd: readonly string[];
  readonly cassandra: CassandraPlace;
}

/** What the process tells its parent once it serves. */
export interface NodeReady {
  readonly clients: string;
  readonly admin: string;
}

const { region, etcd, cassandra }: NodeSettings = JSON.parse(process.argv[2] ?? "");
const clock = new SystemClock({ errorMs: 100 });
const telemetry = new ConsoleTelemetry({ level: "warn" });
const node = new MeridianNode({
  node: "bench",
  region,
  regions: [region],
  address: "127.0.0.1:1",
  version: "bench",
  bodyBytesMax: LIMITS.bodyBytes,
  lease: { ttlMs: LIMITS.leaseTtlMs, renewMs: LIMITS.leaseRenewMs, marginMs: LIMITS.leaseMarginMs },
  coordinator: await EtcdCoordinator.open({ endpoints: etcd, prefix: "bench/", clock, telemetry }),
  store: new CassandraLogStore({ session: await connectSession(cassandra) }),
  network: new GrpcNetwork(),
  clock,
  random: new SystemRandom(),
  telemetry,
  counters: () => telemetry.counters(),
});
const anyPort = "127.0.0.1:0";
const served = await ServedNode.start({
  node,
  clock,
  telemetry,
  addresses: { clients: anyPort, peers: anyPort, admin: anyPort },
  listen: (address, services) => GrpcServer.listen({ clock, telemetry, address, services }),
});
process.once("disconnect", () => process.exit());
process.send?.({ clients: served.clients, admin: served.admin } satisfies NodeReady);
