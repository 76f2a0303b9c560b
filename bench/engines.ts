import { join } from "node:path";
import { home } from "../scripts/engines/process.mjs";
import { init } from "../src/adapters/cassandra/init.ts";
import { CassandraSession } from "../src/adapters/cassandra/session.ts";
import { SystemClock } from "../src/adapters/system/clock.ts";
import { SystemRandom } from "../src/adapters/system/random.ts";
import { ConsoleTelemetry } from "../src/adapters/system/telemetry.ts";
import { BothEngines } from "../test/support/both-engines.ts";
import { type CassandraPlace, TestCassandra, YIELDING } from "../test/support/cassandra.ts";
import { EtcdCluster } from "../test/support/etcd.ts";

export const KEYSPACE = "bench";

const HOME = join(home, "bench");

/** For an end before the end, also while they start: servers would go on without the program that started them. */
export function closeEngines(): Promise<void> {
  return BothEngines.wipe(HOME);
}

/** Three data centers with an empty keyspace. */
export async function startCassandra(say: (line: string) => void): Promise<TestCassandra> {
  const cassandra = await TestCassandra.start({ folder: join(HOME, "cassandra"), before: YIELDING, say });
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
  return EtcdCluster.start({ folder: join(HOME, "etcd"), fsync: true });
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
