import * as cassandra from "../scripts/engines/cassandra.mjs";
import * as etcd from "../scripts/engines/etcd.mjs";

const CASSANDRA = { up: cassandra.up, kill: cassandra.kill, pause: cassandra.pause, resume: cassandra.resume };
const ETCD = { up: etcd.up, kill: etcd.kill };

interface Member {
  readonly name: string;
  readonly client: number;
}

const CALL_MS = 2_000;

/** The real servers that `npm run engines` runs, one of each kind a region. */
export class Engines {
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  get etcdMembers(): readonly Member[] {
    return etcd.MEMBERS;
  }

  get etcdNodes(): readonly string[] {
    return etcd.NODES;
  }

  get cassandraNodes(): readonly string[] {
    return cassandra.NODES;
  }

  async etcd(verb: keyof typeof ETCD, nodes: readonly string[] = etcd.NODES): Promise<void> {
    await ETCD[verb]({ nodes: [...nodes], say: this.#say });
  }

  async cassandra(verb: keyof typeof CASSANDRA, nodes: readonly string[] = cassandra.NODES): Promise<void> {
    await CASSANDRA[verb]({ nodes: [...nodes], say: this.#say });
  }

  /** The member that leads now. */
  async etcdLeader(): Promise<string> {
    for (const { name, client } of etcd.MEMBERS) {
      const { header, leader } = await this.#ask<{ readonly header: { readonly member_id: string }; readonly leader: string }>(
        client,
        "/v3/maintenance/status",
        {},
      );
      if (header.member_id === leader) return name;
    }
    throw new Error("no member of etcd says that it leads");
  }

  /** Forgets all revisions up to now: a watch that was cut cannot go on where it was. */
  async compactEtcd(): Promise<number> {
    const [member] = etcd.MEMBERS;
    if (member === undefined) throw new Error("etcd has no members");
    const { header } = await this.#ask<{ readonly header: { readonly revision: string } }>(member.client, "/v3/kv/range", {
      key: Buffer.from("meridian").toString("base64"),
    });
    await this.#ask(member.client, "/v3/kv/compaction", { revision: header.revision, physical: true });
    return Number(header.revision);
  }

  async #ask<T>(port: number, path: string, body: object): Promise<T> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(CALL_MS),
    });
    if (!answer.ok) throw new Error(`etcd at port ${port} answered ${path} with ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as T;
  }
}
