import { Cluster } from "../../scripts/engines/cassandra/cluster.mjs";
import { freePorts } from "../../scripts/engines/process.mjs";
import type { CassandraOptions } from "../../src/adapters/cassandra/client.ts";
import { CassandraSession } from "../../src/adapters/cassandra/session.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import { SystemRandom } from "../../src/adapters/system/random.ts";
import type { Site } from "./site.ts";
import { MemoryTelemetry } from "./telemetry.ts";

export type CassandraPlace = Required<Pick<CassandraOptions, "contactPoints" | "port" | "localDataCenter" | "otherDataCenters">>;

export interface TestCassandraOptions {
  /** What an interrupted run has left there is ended and deleted: the same in each run, and of nobody else's. */
  readonly folder: string;
  /** More lines for each node's cassandra.yaml. */
  readonly settings?: string;
  /** In the topology's order; by default the loopback. */
  readonly sites?: readonly Site[] | undefined;
  /** What is put before each node's command line. */
  readonly before?: readonly string[];
  /** Told of the start. */
  readonly say?: (line: string) => void;
}

/**
 * Put before its command line, it gives Cassandra the lowest priority. Its threads wait for work awake and take whatever part of
 * the processor they can get, and of the others that share this machine only that part would be measured. Linux counts
 * priorities within a session; that of a session stands in `autogroup`, where there is one.
 */
export const YIELDING = ["sh", "-c", '{ echo 19 > /proc/self/autogroup; } 2>/dev/null; exec nice -n 19 "$@"', "sh"];

/** Three data centers with ports of their own, beside those of `npm run engines`: for tests, chaos and the bench. */
export class TestCassandra {
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  static async start({ folder, say = silent, ...others }: TestCassandraOptions): Promise<TestCassandra> {
    const [port, storagePort] = await freePorts(2);
    const cassandra = new TestCassandra(new Cluster({ ...others, folder, port, storagePort }));
    await cassandra.stop();
    try {
      await cassandra.#cluster.up({ say });
      return cassandra;
    } catch (error) {
      await cassandra.stop();
      throw error;
    }
  }

  get dataCenters(): readonly string[] {
    return this.#cluster.members.map(({ dataCenter }) => dataCenter);
  }

  /** Address and port of each node, by data center. */
  get contactPoints(): ReadonlyMap<string, { readonly address: string; readonly port: number }> {
    return new Map(this.#cluster.members.map(({ dataCenter, address, port }) => [dataCenter, { address, port }]));
  }

  /** Ends it, and deletes its data. */
  async stop(): Promise<void> {
    await this.#cluster.wipe({ say: silent });
  }

  /** Does something to the nodes of some data centers; to all of them when none is named. */
  async on(action: "up" | "kill" | "pause" | "resume", ...dataCenters: readonly string[]): Promise<void> {
    const isChosen = (dataCenter: string) => dataCenters.length === 0 || dataCenters.includes(dataCenter);
    const chosen = this.#cluster.members.filter(({ dataCenter }) => isChosen(dataCenter));
    await this.#cluster[action]({ names: chosen.map(({ name }) => name), say: silent });
  }

  /** What somebody in the given data center, the first one by default, needs to know to connect. */
  placeOf(localDataCenter = this.dataCenters[0] ?? ""): CassandraPlace {
    const { members } = this.#cluster;
    return {
      contactPoints: members.map(({ address, port }) => `${address}:${port}`),
      port: members[0]?.port ?? 0,
      localDataCenter,
      otherDataCenters: this.dataCenters.filter((dataCenter) => dataCenter !== localDataCenter),
    };
  }

  /** As a node in the given data center connects. */
  async connect(keyspace: string, localDataCenter?: string, access: Pick<CassandraOptions, "tls" | "credentials"> = {}) {
    const telemetry = new MemoryTelemetry();
    const session = await CassandraSession.connect({
      ...this.placeOf(localDataCenter),
      keyspace,
      clock: new SystemClock({ errorMs: 100 }),
      random: new SystemRandom(),
      telemetry,
      ...access,
    });
    return { session, telemetry };
  }
}

function silent(): void {}
