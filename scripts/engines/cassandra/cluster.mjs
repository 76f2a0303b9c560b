// A cluster of Cassandra with one node in each region's data center. Its folder, and the addresses that it takes, can be
// chosen, so that a test has one of its own beside the one that `npm run engines` keeps.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, since } from "../../lib.mjs";
import { Server, until } from "../process.mjs";
import { CassandraNode } from "./node.mjs";
import { ADDRESSES, jars } from "./software.mjs";

/** All nodes start at once and look for each other; under load this takes up to half a minute. */
const READY_MS = 180_000;
const STOP_MS = 30_000;

/** @type {readonly { readonly host: string, readonly before: readonly string[] }[]} */
const LOOPBACK = ADDRESSES.map((host) => ({ host, before: [] }));
/** @type {readonly string[]} */
const NOTHING = [];

export class Cluster {
  #nodes;

  /**
   * All nodes listen on the same port, for drivers look for the other nodes at the port by which they found the first one; so
   * nodes differ in their addresses. `sites`, in the topology's order: each one's `host`, and `before`, which is put before its
   * command line to get it there. `settings`: more lines for each node's cassandra.yaml. `before`: what is put before every
   * node's command line.
   */
  constructor({ folder, sites = LOOPBACK, port = 9042, storagePort = 7000, settings = "", before = NOTHING }) {
    this.folder = folder;
    const { regions } = JSON.parse(readFileSync(join(root, "regions", "topology.json"), "utf8"));
    const members = Object.entries(regions).map(([region, { dataCenter }], index) => ({
      name: `cassandra-${region}`,
      address: sites[index].host,
      before: [...sites[index].before, ...before],
      dataCenter,
      index,
    }));
    const seeds = members.map(({ address }) => `${address}:${storagePort}`);
    this.#nodes = members.map((member) => {
      const server = new Server({ name: member.name, folder: join(folder, member.name) });
      return new CassandraNode({ ...member, server, port, storagePort, seeds, settings });
    });
  }

  get names() {
    return this.#nodes.map(({ name }) => name);
  }

  /** `{ name, address, port, dataCenter }` of each node, in the topology's order. */
  get members() {
    return this.#nodes.map(({ name, address, port, dataCenter }) => ({ name, address, port, dataCenter }));
  }

  /** Starts what does not run, and waits until each can be used. Throws what is missing, or why a node does not start. */
  async up({ names = this.names, say }) {
    const library = await jars(say);
    const startedMs = Date.now();
    const nodes = this.#named(names);
    for (const node of nodes) {
      const { state } = node.server;
      if (state === "paused") throw new Error(`${node.name} is paused; resume it first`);
      say(`${node.name}: ${state === "running" ? "runs" : "starting"} on ${node.address}:${node.port} (${node.dataCenter})`);
      if (state === "stopped") node.start(library);
    }
    await Promise.all(nodes.map((node) => this.#ready(node, startedMs, say)));
  }

  async down({ names = this.names, say }) {
    const stop = async ({ name, server }) => {
      if (server.state !== "stopped") await server.stop({ graceMs: STOP_MS });
      say(`${name}: stopped`);
    };
    await Promise.all(this.#named(names).map(stop));
  }

  async status({ names = this.names, say }) {
    for (const { name, address, port, server } of this.#named(names)) {
      say(`${name}: ${server.state}${server.pid === undefined ? "" : ` on ${address}:${port}, process ${server.pid}`}`);
    }
  }

  async kill({ names = this.names, say }) {
    const kill = async ({ name, server }) => {
      await server.kill();
      say(`${name}: killed`);
    };
    await Promise.all(this.#named(names).map(kill));
  }

  async pause({ names = this.names, say }) {
    for (const { name, server } of this.#named(names)) say(`${name}: ${server.signal("SIGSTOP") ? "paused" : "does not run"}`);
  }

  async resume({ names = this.names, say }) {
    for (const { name, server } of this.#named(names)) say(`${name}: ${server.signal("SIGCONT") ? "resumed" : "does not run"}`);
  }

  async wipe({ names = this.names, say }) {
    const wipe = async ({ name, server }) => {
      await server.kill();
      rmSync(server.folder, { recursive: true, force: true });
      say(`${name}: wiped`);
    };
    await Promise.all(this.#named(names).map(wipe));
  }

  async #ready(node, startedMs, say) {
    const others = this.#nodes.filter((other) => other !== node);
    const settled = async () => {
      if (node.server.state === "stopped") return true;
      return node.isReady(others.filter(({ server }) => server.state === "running"));
    };
    const isSettled = await until(settled, READY_MS);
    if (isSettled && node.server.state !== "stopped") say(`${node.name}: ready after ${since(startedMs)}`);
    else throw new Error(`${node.name} ${isSettled ? "ended" : `is not ready after ${since(startedMs)}`}:\n${node.complaint()}`);
  }

  #named(names) {
    return this.#nodes.filter(({ name }) => names.includes(name));
  }
}
