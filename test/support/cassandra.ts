import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Cluster } from "../../scripts/engines/cassandra/cluster.mjs";
import { freePorts } from "../../scripts/engines/process.mjs";
import type { CassandraOptions } from "../../src/adapters/cassandra/client.ts";
import { CassandraSession } from "../../src/adapters/cassandra/session.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import { SystemRandom } from "../../src/adapters/system/random.ts";
import { MemoryTelemetry } from "./telemetry.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The tests' own three data centers, on ports of their own beside those of `npm run engines`. Their folder is the same in
 * each run of a working tree, so that a run ends what an interrupted one has left.
 */
export class TestCassandra {
  readonly #cluster: Cluster;
  readonly #said: string[] = [];
  readonly #say = (line: string) => void this.#said.push(line);

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** `settings`: more lines for each node's cassandra.yaml. Each test file has a `name` of its own: files run beside each other. */
  static async start({ name, settings = "" }: { readonly name: string; readonly settings?: string }): Promise<TestCassandra> {
    const [port, storagePort] = await freePorts(2);
    const folder = join(root, ".engines", "test", name);
    const cassandra = new TestCassandra(new Cluster({ folder, port, storagePort, settings }));
    await cassandra.stop();
    try {
      await cassandra.#cluster.up({ say: cassandra.#say });
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

  async stop(): Promise<void> {
    await this.#cluster.wipe({ say: this.#say });
  }

  /** Does something to the nodes of some data centers. */
  async on(action: "up" | "kill" | "pause" | "resume", ...dataCenters: readonly string[]): Promise<void> {
    const chosen = this.#cluster.members.filter(({ dataCenter }) => dataCenters.includes(dataCenter));
    await this.#cluster[action]({ names: chosen.map(({ name }) => name), say: this.#say });
  }

  /** As a node in the given data center connects; the first one by default. */
  async connect(
    keyspace: string,
    localDataCenter = this.dataCenters[0] ?? "",
    access: Pick<CassandraOptions, "tls" | "credentials"> = {},
  ) {
    const telemetry = new MemoryTelemetry();
    const { members } = this.#cluster;
    const session = await CassandraSession.connect({
      contactPoints: members.map(({ address, port }) => `${address}:${port}`),
      port: members[0]?.port ?? 0,
      keyspace,
      localDataCenter,
      otherDataCenters: this.dataCenters.filter((dataCenter) => dataCenter !== localDataCenter),
      clock: new SystemClock({ errorMs: 100 }),
      random: new SystemRandom(),
      telemetry,
      ...access,
    });
    return { session, telemetry };
  }
}
