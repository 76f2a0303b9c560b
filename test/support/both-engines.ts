import { join } from "node:path";
import { Cluster } from "../../scripts/engines/cassandra/cluster.mjs";
import * as etcd from "../../scripts/engines/etcd.mjs";
import { TestCassandra } from "./cassandra.ts";
import { EtcdCluster } from "./etcd.ts";
import type { Site } from "./site.ts";

export interface BothEnginesOptions {
  readonly folder: string;
  readonly fsync?: boolean;
  /** In the topology's order; by default the loopback. */
  readonly sites?: readonly Site[] | undefined;
  /** What is put before the command line of each node of Cassandra. */
  readonly before?: readonly string[];
  readonly say?: (line: string) => void;
}

/** What nodes of a cluster need: three members of etcd and three data centers of Cassandra, one of each in a region. */
export class BothEngines {
  readonly etcd: EtcdCluster;
  readonly cassandra: TestCassandra;

  private constructor(etcd: EtcdCluster, cassandra: TestCassandra) {
    this.etcd = etcd;
    this.cassandra = cassandra;
  }

  /** Fresh ones, which keep everything in the folder. */
  static async start({ folder, before = [], ...others }: BothEnginesOptions): Promise<BothEngines> {
    const etcd = await EtcdCluster.start({ ...others, folder: join(folder, "etcd") });
    try {
      return new BothEngines(etcd, await TestCassandra.start({ ...others, before, folder: join(folder, "cassandra") }));
    } catch (error) {
      await etcd.stop();
      throw error;
    }
  }

  /** Ends and deletes whatever lies there, also while it starts. */
  static async wipe(folder: string): Promise<void> {
    await new Cluster({ folder: join(folder, "cassandra") }).wipe({ say: () => {} });
    await etcd.wipe({ folder: join(folder, "etcd") });
  }

  async stop(): Promise<void> {
    await this.cassandra.stop();
    await this.etcd.stop();
  }
}
