import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;

export interface Ready {
  /** Where clients and operators reach it. */
  readonly clients: string;
  readonly admin: string;
  /** The node's own process, which is not the child where something was put in front of it. */
  readonly pid: number;
}

export interface RegionsReady {
  readonly regions: readonly { readonly region: string; readonly clients: string; readonly admin: string }[];
  readonly pid: number;
}

/** A process of Meridian as its user starts it, with real sockets and a real disk. */
class MeridianProcess<R extends { readonly pid: number }> {
  readonly ready: R;
  /** What it said on stderr. */
  readonly log: readonly string[];
  readonly #child: ChildProcess;

  constructor({ child, ready, log }: Started) {
    this.ready = ready as R;
    this.log = log;
    this.#child = child;
  }

  /** SIGKILL: no goodbye, no flush. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM: the node drains and ends by itself. Answers its exit code. */
  stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const exit = once(this.#child, "exit");
    process.kill(this.ready.pid, signal);
    const [code] = (await exit) as [number | null];
    return code;
  }
}

/** One region with one node. */
export class NodeProcess extends MeridianProcess<Ready> {
  /** Starts a node on `data`; resolves once it serves. `before` is put in front of the command line, such as strace. */
  static async start(options: {
    readonly data: string;
    readonly listen?: string;
    readonly adminListen?: string;
    readonly before?: readonly string[];
  }): Promise<NodeProcess> {
    const addresses = ["--listen", options.listen ?? ANY, "--admin-listen", options.adminListen ?? ANY, "--peer-listen", ANY];
    const flags = ["--regions", "1", "--data", options.data, ...addresses];
    return new NodeProcess(await startProcess(["start", ...flags], options.before ?? []));
  }
}

/** All regions of a topology in one process. */
export class RegionsProcess extends MeridianProcess<RegionsReady> {
  static async start(options: { readonly data: string; readonly topology: string }): Promise<RegionsProcess> {
    return new RegionsProcess(await startProcess(["start", "--data", options.data, "--topology", options.topology], []));
  }

  /** The operators' address of the first region. */
  get admin(): string {
    return this.ready.regions[0]?.admin ?? "";
  }
}

/** One node, as its configuration file says. */
export class ServeProcess extends MeridianProcess<Ready & { readonly health: string }> {
  static async start(options: { readonly config: string; readonly flags?: readonly string[] }): Promise<ServeProcess> {
    return new ServeProcess(await startProcess(["serve", "--config", options.config, ...(options.flags ?? [])], []));
  }
}

const ANY = "127.0.0.1:0";

interface Started {
  readonly child: ChildProcess;
  readonly ready: unknown;
  readonly log: readonly string[];
}

/** Resolves with the line that the program prints once it serves. */
async function startProcess(args: readonly string[], before: readonly string[]): Promise<Started> {
  if (!existsSync(MAIN)) throw new Error("dist/ is missing: run `npm run build` first");
  const command = [...before, process.execPath, MAIN, ...args, "--json"];
  const child = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  const log: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
  const lines = createInterface({ input: child.stdout });
  const exited = once(child, "exit").then(([code]) => {
    throw new Error(`the node ended with ${String(code)} before it was ready:\n${log.join("\n")}`);
  });
  exited.catch(() => {});
  const [line] = (await Promise.race([once(lines, "line"), exited])) as [string];
  return { child, ready: JSON.parse(line), log };
}
