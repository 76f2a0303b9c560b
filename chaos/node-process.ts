import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type AdminClient, connectAdmin, type NodeStatus } from "../src/index.ts";
import { withDeadline } from "../src/kernel/timing.ts";
import { clock } from "./clock.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const READY_MS = 120_000;
const STOP_MS = 30_000;
const POLL_MS = 50;
const STARTS_MAX = 3;
/** Of the exit codes in docs/operating.md. */
const EXIT_UNAVAILABLE = 3;

export interface NodeConfig {
  readonly node: string;
  readonly region: string;
  readonly listen: string;
  readonly adminListen: string;
  readonly healthListen: string;
}

/** A node as a process of its own, run by `meridian serve`. */
export class NodeProcess {
  readonly config: NodeConfig;
  /** Its configuration. */
  readonly file: string;
  readonly #before: readonly string[];
  readonly #log: string;
  readonly #admin: AdminClient;
  #child: ChildProcess | undefined;
  /** Somebody has ended it on purpose, and will start it again. */
  #isEnded = false;

  /** `before` is put before its command line: it gets the process to where the node's addresses are. */
  constructor(config: NodeConfig, folder: string, before: readonly string[] = []) {
    this.config = config;
    this.#before = before;
    this.file = join(folder, `${config.node}.json`);
    this.#log = join(folder, `${config.node}.log`);
    this.#admin = connectAdmin({ endpoint: config.adminListen });
    writeFileSync(this.file, JSON.stringify(config, null, 2));
  }

  get name(): string {
    return this.config.node;
  }

  get region(): string {
    return this.config.region;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Resolves once the node says by its readiness check that it serves. One that gives up before, for on a busy machine it may
   * not keep a lease, is started again, as by whatever supervises nodes.
   */
  async start(): Promise<void> {
    if (this.isRunning) return;
    for (let tries = 1; ; tries++) {
      const log = openSync(this.#log, "a");
      const [command = "", ...args] = [...this.#before, process.execPath, MAIN, "serve", "--config", this.file];
      this.#isEnded = false;
      this.#child = spawn(command, args, { stdio: ["ignore", log, log] });
      closeSync(log);
      try {
        return await this.ready();
      } catch (error) {
        if (this.#child.exitCode !== EXIT_UNAVAILABLE || tries === STARTS_MAX) throw error;
      }
    }
  }

  /** Of two faults at once the other one may have ended it: then that one waits for it. */
  async ready(): Promise<void> {
    for (const endMs = clock.monotonicMs() + READY_MS; clock.monotonicMs() < endMs; await pause(POLL_MS)) {
      if (!this.isRunning && this.#isEnded) return;
      if (!this.isRunning) throw new Error(`${this.name} has ended; ${this.#log} says why`);
      if (await this.#saysReady()) return;
    }
    throw new Error(`${this.name} is not ready after ${READY_MS} ms; ${this.#log} says why`);
  }

  /** Throws when the node does not answer. */
  status(): Promise<NodeStatus> {
    return this.#admin.status();
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** A second signal, for a node that is stopping. */
  interrupt(): void {
    this.#child?.kill("SIGINT");
  }

  /** As an operator stops it. Answers its exit code. */
  stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return child?.exitCode ?? null;
    this.#isEnded = true;
    const exit = once(child, "exit") as Promise<[number | null]>;
    child.kill(signal);
    try {
      const [code] = await withDeadline(clock, STOP_MS, `the end of ${this.name}`, exit);
      return code;
    } catch (error) {
      // It must not outlive the run and keep its ports.
      child.kill("SIGKILL");
      throw error;
    }
  }

  async #saysReady(): Promise<boolean> {
    try {
      const answer = await fetch(`http://${this.config.healthListen}/readyz`, { signal: AbortSignal.timeout(1_000) });
      return answer.ok;
    } catch {
      // Nobody listens yet, or the process is busy: the caller has a deadline.
      return false;
    }
  }
}
