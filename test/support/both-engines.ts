import { join } from "node:path";
import { TestCassandra } from "./cassandra.ts";
import { EtcdCluster } from "./etcd.ts";

/** What nodes of a cluster need: three members of etcd and three data centers of Cassandra, one of each in a region. */
export class BothEngines {
  readonly etcd: EtcdCluster;
  readonly cassandra: TestCassandra;

  private constructor(etcd: EtcdCluster, cassandra: TestCassandra) {
    this.etcd = etcd;
    this.cassandra = cassandra;
  }

  /** Fresh ones, which keep everything in the folder. */
  static async start(options: { readonly folder: string; readonly fsync?: boolean; readonly say?: (line: string) => void }) {
    const { folder, ...others } = options;
    const etcd = await EtcdCluster.start({ ...others, folder: join(folder, "etcd") });
    try {
      return new BothEngines(etcd, await TestCassandra.start({ ...others, folder: join(folder, "cassandra") }));
    } catch (error) {
      await etcd.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.cassandra.stop();
    await this.etcd.stop();
  }
}
