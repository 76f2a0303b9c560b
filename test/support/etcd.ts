import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as etcd from "../../scripts/engines/etcd.mjs";
import { freePorts, until } from "../../scripts/engines/process.mjs";
import type { Site } from "./site.ts";

const LEADER_MS = 30_000;
const ASK_MS = 5_000;

/** What a verb of the engines' scripts needs to find this cluster again. */
interface Settings {
  readonly folder: string;
  readonly members: ({ name: string; client: number; peer: number; metrics: number } & Partial<Site>)[];
  readonly scheme: string;
  readonly flags: string[];
}

export interface EtcdClusterOptions {
  /** What an interrupted run has left there is ended and deleted. Without one, a new one is made. */
  readonly folder?: string;
  readonly flags?: readonly string[];
  readonly scheme?: "http" | "https";
  /** Off by default: no test cuts the power, and a slow disk of a test machine would be measured by it. */
  readonly fsync?: boolean;
  /** In the order of the members; by default the loopback. */
  readonly sites?: readonly Site[] | undefined;
  /** Told of the start. */
  readonly say?: (line: string) => void;
}

/** A real cluster of three members, with ports and a folder of its own: for tests, chaos and the bench. */
export class EtcdCluster {
  /** Each member's address for clients, in the order of `names`. */
  readonly endpoints: readonly string[];
  readonly names: readonly string[];
  readonly folder: string;
  readonly #settings: Settings;

  private constructor(settings: Settings) {
    this.#settings = settings;
    this.folder = settings.folder;
    this.names = settings.members.map(({ name }) => name);
    this.endpoints = settings.members.map(({ host = "127.0.0.1", client }) => `${host}:${client}`);
  }

  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const { flags = [], scheme = "http", fsync = false, sites = [], say = () => {} } = options;
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), "meridian-etcd-"));
    const ports = await freePorts(3 * etcd.NODES.length);
    const members = etcd.NODES.map((name, at) => {
      const [client, peer, metrics] = ports.slice(3 * at) as [number, number, number];
      return { name, client, peer, metrics, ...sites[at] };
    });
    const cluster = new EtcdCluster({ folder, members, scheme, flags: [...(fsync ? [] : ["--unsafe-no-fsync"]), ...flags] });
    await cluster.stop();
    try {
      await etcd.up({ ...cluster.#settings, say });
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  up(...names: readonly string[]): Promise<void> {
    return etcd.up(this.#chosen(names));
  }

  kill(...names: readonly string[]): Promise<void> {
    return etcd.kill(this.#chosen(names));
  }

  pause(...names: readonly string[]): Promise<void> {
    return etcd.pause(this.#chosen(names));
  }

  resume(...names: readonly string[]): Promise<void> {
    return etcd.resume(this.#chosen(names));
  }

  /** Ends it, and deletes its folder. */
  stop(): Promise<void> {
    return etcd.wipe(this.#settings);
  }

  /** The name of the member that leads; members that are down are passed by. */
  async leader(): Promise<string> {
    let leader: string | undefined;
    const isFound = async () => {
      const answers = await Promise.allSettled(this.names.map((_, at) => this.ask("/v3/maintenance/status", {}, at)));
      const says = answers.map((one) => (one.status === "fulfilled" ? one.value : undefined));
      leader = this.names.find((_, at) => says[at] !== undefined && says[at].leader === says[at].header.member_id);
      return leader !== undefined;
    };
    await until(isFound, LEADER_MS);
    if (leader === undefined) throw new Error("no member of etcd says that it leads");
    return leader;
  }

  /** Lets this member lead. */
  async lead(at: number): Promise<void> {
    const leader = await this.leader();
    if (leader === this.names[at]) return;
    const targetID = (await this.ask("/v3/maintenance/status", {}, at)).header.member_id;
    await this.ask("/v3/maintenance/transfer-leadership", { targetID }, this.names.indexOf(leader));
  }

  /** Asks a member over its JSON gateway: for what the port has no words. */
  async ask(path: string, request: object, at = 0) {
    const answer = await fetch(`http://${this.endpoints[at]}${path}`, {
      method: "POST",
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(ASK_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${text}`);
    return JSON.parse(text) as { readonly leader?: string; readonly header: Readonly<Record<string, string>> };
  }

  /** Forgets all revisions up to this one, or up to now: a watch that was cut cannot go on before it. Answers the revision. */
  async compact(upTo?: number): Promise<number> {
    const revision = upTo ?? Number((await this.ask("/v3/maintenance/status", {})).header.revision);
    await this.ask("/v3/kv/compaction", { revision: String(revision), physical: true });
    return revision;
  }

  /** No names: all members. */
  #chosen(names: readonly string[]) {
    return { ...this.#settings, nodes: names.length === 0 ? [...this.names] : [...names] };
  }
}
