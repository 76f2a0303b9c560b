import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeProcess } from "../../chaos/node-process.ts";
import { freePorts } from "../../scripts/engines/process.mjs";
import { TestCassandra } from "./cassandra.ts";
import { areThere } from "./engines.ts";
import { EtcdCluster } from "./etcd.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;

export const isClusterSkipped = !areThere("etcd", "cassandra");

/** As in the topology: of each region the others, the nearest first. */
const NEAREST: Readonly<Record<string, readonly string[]>> = {
  "us-east": ["us-east", "eu-west", "ap-southeast"],
  "eu-west": ["eu-west", "us-east", "ap-southeast"],
  "ap-southeast": ["ap-southeast", "eu-west", "us-east"],
};

/** The program's end: exit code and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Real engines with ports of their own, and nodes as processes of their own: a cluster for one test file. */
export class TestCluster {
  /** The nodes' configuration files and logs lie here. */
  readonly folder: string;
  readonly etcd: EtcdCluster;
  readonly cassandra: TestCassandra;
  readonly #nodes = new Map<string, NodeProcess>();

  private constructor(folder: string, etcd: EtcdCluster, cassandra: TestCassandra) {
    this.folder = folder;
    this.etcd = etcd;
    this.cassandra = cassandra;
  }

  /** Engines only; `init` and the nodes are the test's to run. */
  static async start(): Promise<TestCluster> {
    const folder = await mkdtemp(join(tmpdir(), "meridian-cluster-"));
    const etcd = await EtcdCluster.start();
    try {
      return new TestCluster(folder, etcd, await TestCassandra.start({ name: "cluster" }));
    } catch (error) {
      await etcd.stop();
      throw error;
    }
  }

  /** Makes a node such as `us-east-1` and its file, and does not start it. It keeps its addresses over restarts. */
  async configure(name: string): Promise<void> {
    const region = name.replace(/-\d+$/, "");
    const order = NEAREST[region] ?? [];
    const ports = await freePorts(4);
    const [listen = "", peerListen = "", adminListen = "", healthListen = ""] = ports.map((port: number) => `127.0.0.1:${port}`);
    const members = this.cassandra.contactPoints;
    const dataCenters = order.map((each) => each.replace("-", "_"));
    const config = {
      node: name,
      region,
      regions: Object.fromEntries(order.map((each, at) => [each, dataCenters[at]])),
      ...{ listen, peerListen, adminListen, healthListen },
      etcd: { endpoints: order.map((each) => this.etcd.endpoints[this.etcd.names.indexOf(`etcd-${each}`)]), prefix: "test/" },
      cassandra: {
        contactPoints: dataCenters.map((each) => members.get(each)?.address),
        port: members.get(dataCenters[0] ?? "")?.port,
        replicas: 1,
      },
      lease: { ttlMs: 6_000, marginMs: 1_500 },
    };
    this.#nodes.set(name, new NodeProcess(config, this.folder));
  }

  node(name: string): NodeProcess {
    const found = this.#nodes.get(name);
    if (found === undefined) throw new Error(`${name} is not configured`);
    return found;
  }

  /** Runs the program to its end. */
  async run(...args: readonly string[]): Promise<Ended> {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => {
      said.stdout += String(chunk);
    });
    child.stderr.on("data", (chunk) => {
      said.stderr += String(chunk);
    });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, ...said };
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.kill()));
    await this.cassandra.stop();
    await this.etcd.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
