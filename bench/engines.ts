import { join } from "node:path";
import { Cluster } from "../scripts/engines/cassandra/cluster.mjs";
import * as etcd from "../scripts/engines/etcd.mjs";
import { home } from "../scripts/engines/process.mjs";
import { init } from "../src/adapters/cassandra/init.ts";
import { CassandraSession } from "../src/adapters/cassandra/session.ts";
import { SystemClock } from "../src/adapters/system/clock.ts";
import { SystemRandom } from "../src/adapters/system/random.ts";
import { ConsoleTelemetry } from "../src/adapters/system/telemetry.ts";
import { type CassandraPlace, TestCassandra } from "../test/support/cassandra.ts";
import { EtcdCluster } from "../test/support/etcd.ts";

export const KEYSPACE = "bench";

const CASSANDRA_FOLDER = join(home, "bench", "cassandra");
const ETCD_FOLDER = join(home, "bench", "etcd");

/** For an end before the end, also while they start: servers would go on without the program that started them. */
export async function closeEngines(): Promise<void> {
  await new Cluster({ folder: CASSANDRA_FOLDER }).wipe({ say: () => {} });
  await etcd.wipe({ folder: ETCD_FOLDER });
}

/** Three data centers with an empty keyspace. */
export async function startCassandra(say: (line: string) => void): Promise<TestCassandra> {
  const cassandra = await TestCassandra.start({ folder: CASSANDRA_FOLDER, say });
  try {
    const session = await connectSession(cassandra.placeOf());
    await init({ session, replicas: new Map(cassandra.dataCenters.map((each) => [each, 1])) });
    await session.close();
    return cassandra;
  } catch (error) {
    await cassandra.stop();
    throw error;
  }
}

export function startEtcd(): Promise<EtcdCluster> {
  return EtcdCluster.start({ folder: ETCD_FOLDER, fsync: true });
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
