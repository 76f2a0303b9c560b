import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeProcess } from "../../chaos/node-process.ts";
import { freePorts } from "../../scripts/engines/process.mjs";
import { BothEngines } from "./both-engines.ts";
import type { TestCassandra } from "./cassandra.ts";
import { folderOf } from "./engines.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;

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
  readonly #engines: BothEngines;
  readonly #nodes = new Map<string, NodeProcess>();

  private constructor(folder: string, engines: BothEngines) {
    this.folder = folder;
    this.#engines = engines;
  }

  /** Engines only; `init` and the nodes are the test's to run. */
  static async start(name: string): Promise<TestCluster> {
    const engines = await BothEngines.start({ folder: folderOf(name) });
    return new TestCluster(await mkdtemp(join(tmpdir(), "meridian-cluster-")), engines);
  }

  get cassandra(): TestCassandra {
    return this.#engines.cassandra;
  }

  /** Makes a node such as `us-east-1` and its file, and does not start it. It keeps its addresses over restarts. */
  async configure(name: string): Promise<void> {
    const region = name.replace(/-\d+$/, "");
    const order = NEAREST[region] ?? [];
    const ports = await freePorts(4);
    const [listen = "", peerListen = "", adminListen = "", healthListen = ""] = ports.map((port: number) => `127.0.0.1:${port}`);
    const { etcd, cassandra } = this.#engines;
    const members = cassandra.contactPoints;
    const dataCenters = order.map((each) => each.replace("-", "_"));
    const config = {
      node: name,
      region,
      regions: Object.fromEntries(order.map((each, at) => [each, dataCenters[at]])),
      ...{ listen, peerListen, adminListen, healthListen },
      etcd: { endpoints: order.map((each) => etcd.endpoints[etcd.names.indexOf(`etcd-${each}`)]), prefix: "test/" },
      cassandra: {
        contactPoints: dataCenters.map((each) => members.get(each)?.address),
        port: members.get(dataCenters[0] ?? "")?.port,
        replicas: 1,
      },
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
    await this.#engines.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
