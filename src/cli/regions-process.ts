import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MeridianError } from "../kernel/errors.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

/**
 * Emulated regions in a process of their own: clients in the same one would share its loop, and what they measure would be
 * their own waiting.
 */
export class RegionsProcess {
  /** Where operators reach the regions. */
  readonly admin: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, admin: string) {
    this.#child = child;
    this.admin = admin;
  }

  /** Resolves once all regions serve. Throws UNAVAILABLE with what the process said when it ends before. */
  static async start(options: { readonly data: string; readonly topology: string }): Promise<RegionsProcess> {
    const flags = ["--data", options.data, "--topology", options.topology, "--log-level", "error", "--json"];
    const child = spawn(process.execPath, [MAIN, "start", ...flags], { stdio: ["ignore", "pipe", "pipe"] });
    const said: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => said.push(line));
    const ended = once(child, "exit").then(([code]) => {
      throw new MeridianError("UNAVAILABLE", `the regions ended with ${String(code)} before they served: ${said.join(" ")}`);
    });
    const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended])) as [string];
    // Its end is awaited by `stop`; one that comes sooner is noticed by the clients.
    ended.catch(() => {});
    const { regions } = JSON.parse(line) as { readonly regions: readonly { readonly admin: string }[] };
    return new RegionsProcess(child, regions[0]?.admin ?? "");
  }

  /** Ends it without a hand-over: nobody will start it again. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }
}
