import { join } from "node:path";
import { Cluster } from "../scripts/engines/cassandra/cluster.mjs";
import * as etcd from "../scripts/engines/etcd.mjs";
import { freePorts } from "../scripts/engines/process.mjs";

interface EtcdMember {
  readonly name: string;
  readonly client: number;
  readonly peer: number;
  readonly metrics: number;
}

interface CassandraMember {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly dataCenter: string;
}

const CALL_MS = 2_000;

/** Real servers, one of each kind a region, on ports of their own beside those of `npm run engines`. */
export class Engines {
  readonly etcdMembers: readonly EtcdMember[];
  readonly #etcd: { readonly folder: string; readonly members: readonly EtcdMember[]; readonly say: (line: string) => void };
  readonly #cassandra: Cluster;

  private constructor(folder: string, members: readonly EtcdMember[], cassandra: Cluster) {
    this.etcdMembers = members;
    this.#etcd = { folder: join(folder, "etcd"), members, say: () => {} };
    this.#cassandra = cassandra;
  }

  /** Fresh ones: what an interrupted run has left in the folder is ended and deleted. */
  static async start(folder: string, say: (line: string) => void): Promise<Engines> {
    const [port, storagePort, ...ports] = await freePorts(2 + 3 * etcd.MEMBERS.length);
    const members = etcd.MEMBERS.map(({ name }, at) => {
      const [client = 0, peer = 0, metrics = 0] = ports.slice(3 * at);
      return { name, client, peer, metrics };
    });
    const engines = new Engines(folder, members, new Cluster({ folder: join(folder, "cassandra"), port, storagePort }));
    await engines.wipe();
    await etcd.up({ ...engines.#etcd, say });
    await engines.#cassandra.up({ say });
    return engines;
  }

  get etcdNodes(): readonly string[] {
    return this.etcdMembers.map(({ name }) => name);
  }

  /** In the topology's order of regions. */
  get cassandraMembers(): readonly CassandraMember[] {
    return this.#cassandra.members;
  }

  async etcd(verb: "up" | "kill", nodes: readonly string[] = this.etcdNodes): Promise<void> {
    await (verb === "up" ? etcd.up : etcd.kill)({ ...this.#etcd, nodes: [...nodes] });
  }

  async cassandra(verb: "up" | "kill" | "pause" | "resume", nodes: readonly string[] = this.#cassandra.names): Promise<void> {
    await this.#cassandra[verb]({ names: [...nodes], say: () => {} });
  }

  async wipe(): Promise<void> {
    await etcd.wipe(this.#etcd);
    await this.#cassandra.wipe({ say: () => {} });
  }

  /** The member that leads now. */
  async etcdLeader(): Promise<string> {
    for (const { name, client } of this.etcdMembers) {
      const { header, leader } = await ask<EtcdStatus>(client, "/v3/maintenance/status", {});
      if (header.member_id === leader) return name;
    }
    throw new Error("no member of etcd says that it leads");
  }

  /** Forgets all revisions up to now: a watch that was cut cannot go on where it was. Answers the revision. */
  async compactEtcd(): Promise<string> {
    const { client } = this.etcdMembers[0] as EtcdMember;
    const { header } = await ask<EtcdStatus>(client, "/v3/maintenance/status", {});
    await ask(client, "/v3/kv/compaction", { revision: header.revision, physical: true });
    return header.revision;
  }
}

interface EtcdStatus {
  readonly header: { readonly member_id: string; readonly revision: string };
  readonly leader: string;
}

/** By etcd's JSON gateway: an operator's call needs no client library. */
async function ask<T>(port: number, path: string, body: object): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(CALL_MS),
  });
  if (!answer.ok) throw new Error(`etcd at port ${port} answered ${path} with ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}
