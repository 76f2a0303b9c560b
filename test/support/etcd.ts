import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as etcd from "../../scripts/engines/etcd.mjs";
import { freePorts } from "../../scripts/engines/process.mjs";

/** What a verb of the engines' scripts needs to find this cluster again. */
interface Settings {
  readonly folder: string;
  readonly members: { name: string; client: number; peer: number; metrics: number }[];
  readonly scheme: string;
  readonly flags: string[];
}

export interface EtcdClusterOptions {
  readonly flags?: readonly string[];
  readonly scheme?: "http" | "https";
}

/** A real cluster of three members for one test file, with ports and a folder of its own. */
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
    this.endpoints = settings.members.map(({ client }) => `127.0.0.1:${client}`);
  }

  static async start({ flags = [], scheme = "http" }: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const folder = await mkdtemp(join(tmpdir(), "meridian-etcd-"));
    const ports = await freePorts(3 * etcd.NODES.length);
    const members = etcd.NODES.map((name, at) => {
      const [client, peer, metrics] = ports.slice(3 * at) as [number, number, number];
      return { name, client, peer, metrics };
    });
    // No test here cuts the power, and fsync is what a slow disk of a test machine would be measured by.
    const cluster = new EtcdCluster({ folder, members, scheme, flags: ["--unsafe-no-fsync", ...flags] });
    try {
      await cluster.up();
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

  async stop(): Promise<void> {
    await etcd.wipe(this.#settings);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The name of the member that leads. */
  async leader(): Promise<string> {
    for (;;) {
      for (const [at, name] of this.names.entries()) {
        const { leader, header } = await this.ask("/v3/maintenance/status", {}, at);
        if (leader === header["member_id"]) return name;
      }
    }
  }

  /** Asks a member over its JSON gateway: for what the port has no words. */
  async ask(path: string, request: object, at = 0) {
    const answer = await fetch(`http://${this.endpoints[at]}${path}`, { method: "POST", body: JSON.stringify(request) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${text}`);
    return JSON.parse(text) as { readonly leader?: string; readonly header: { readonly [field: string]: string } };
  }

  async compact(revision: number): Promise<void> {
    await this.ask("/v3/kv/compaction", { revision: String(revision) });
  }

  /** No names: all members. */
  #chosen(names: readonly string[]) {
    return { ...this.#settings, nodes: names.length === 0 ? [...this.names] : [...names] };
  }
}
