import { check } from "../adapters/cassandra/checks.ts";
import { init } from "../adapters/cassandra/init.ts";
import { CassandraSession } from "../adapters/cassandra/session.ts";
import { SystemClock } from "../adapters/system/clock.ts";
import { SystemRandom } from "../adapters/system/random.ts";
import { ConsoleTelemetry } from "../adapters/system/telemetry.ts";
import type { ClusterConfig } from "../node/config.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { accessTo } from "./access.ts";

interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** A session whose cluster a node may trust its acks to. Throws INVALID_ARGUMENT when it may not, and UNAVAILABLE. */
export async function checkedCassandra(config: ClusterConfig, surroundings: Surroundings): Promise<CassandraSession> {
  const session = await connectCassandra(config, surroundings);
  try {
    await check(session);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Makes the keyspace and its tables, or brings them to this version. Answers the versions before and after. */
export async function initCassandra(config: ClusterConfig): Promise<{ readonly from: number; readonly to: number }> {
  const { clockErrorMs, logLevel, regions, cassandra } = config;
  const clock = new SystemClock({ errorMs: clockErrorMs });
  const telemetry = new ConsoleTelemetry({ level: logLevel });
  const session = await connectCassandra(config, { clock, random: new SystemRandom(), telemetry });
  try {
    const replicas = new Map(Object.values(regions).map((dataCenter) => [dataCenter, cassandra.replicas]));
    return await init({ session, replicas });
  } finally {
    await session.close();
  }
}

async function connectCassandra(config: ClusterConfig, surroundings: Surroundings): Promise<CassandraSession> {
  const { region, regions, cassandra } = config;
  const { contactPoints, port, keyspace, tls: files } = cassandra;
  const { login, tls } = await accessTo("cassandra", config);
  const { [region]: localDataCenter = "", ...others } = regions;
  const name = files?.serverName === undefined ? {} : { serverName: files.serverName };
  return CassandraSession.connect({
    contactPoints,
    port,
    keyspace,
    localDataCenter,
    otherDataCenters: Object.values(others),
    ...(login === undefined ? {} : { credentials: login }),
    ...(tls === undefined ? {} : { tls: { ...tls, ...name } }),
    ...surroundings,
  });
}
