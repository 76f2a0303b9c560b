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

/** A Meridian node as its user starts it: a process of its own, with real sockets and a real disk. */
export class NodeProcess {
  readonly ready: Ready;
  readonly #child: ChildProcess;
  /** What it said on stderr. */
  readonly log: string[];

  private constructor(child: ChildProcess, ready: Ready, log: string[]) {
    this.#child = child;
    this.ready = ready;
    this.log = log;
  }

  /** Starts a node on `data`; resolves once it serves. `before` is put in front of the command line, such as strace. */
  static async start(options: {
    readonly data: string;
    readonly listen?: string;
    readonly adminListen?: string;
    readonly before?: readonly string[];
  }): Promise<NodeProcess> {
    if (!existsSync(MAIN)) throw new Error("dist/ is missing: run `npm run build` first");
    const listen = options.listen ?? "127.0.0.1:0";
    const adminListen = options.adminListen ?? "127.0.0.1:0";
    const flags = [
      "--regions",
      "1",
      "--data",
      options.data,
      "--listen",
      listen,
      "--admin-listen",
      adminListen,
      "--peer-listen",
      "127.0.0.1:0",
      "--json",
    ];
    const command = [...(options.before ?? []), process.execPath, MAIN, "start", ...flags];
    const child = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
    const log: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
    const lines = createInterface({ input: child.stdout });
    const exited = once(child, "exit").then(([code]) => {
      throw new Error(`the node ended with ${String(code)} before it was ready:\n${log.join("\n")}`);
    });
    exited.catch(() => {});
    const [line] = (await Promise.race([once(lines, "line"), exited])) as [string];
    return new NodeProcess(child, JSON.parse(line) as Ready, log);
  }

  /** SIGKILL: no goodbye, no flush. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** SIGTERM: the node drains and ends by itself. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    process.kill(this.ready.pid, signal);
    await exit;
  }
}
