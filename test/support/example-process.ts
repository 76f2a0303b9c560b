import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../scripts/example.mjs", import.meta.url));

/** An example as its user runs it. */
export class ExampleProcess {
  /** What it has printed so far. */
  readonly lines: string[] = [];
  /** What it has complained of. */
  readonly complaints: string[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;
  #wake: (() => void)[] = [];

  /** `npm run example <args>` with these nodes. */
  constructor(endpoints: readonly string[], ...args: readonly string[]) {
    const env = { ...process.env, MERIDIAN_ENDPOINTS: endpoints.join(",") };
    const child = spawn(process.execPath, [SCRIPT, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
    createInterface({ input: child.stderr }).on("line", (line) => this.complaints.push(line));
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#wakeAll();
    });
    this.#child = child;
    this.#exit = once(child, "close").then(([code]) => {
      this.#wakeAll();
      return code as number | null;
    });
  }

  /** Types a line. */
  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Resolves with the first line that matches, which may have been printed already. Throws when the process ends without. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = this.lines.find((one) => pattern.test(one));
      if (line !== undefined) return line;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) throw new Error(`no ${pattern} in ${this.#said()}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Ends its input, waits for its end, and answers what it printed. Throws unless it went well. */
  async end(signal?: "SIGINT"): Promise<readonly string[]> {
    if (signal === undefined) this.#child.stdin?.end();
    else this.#child.kill(signal);
    const code = await this.#exit;
    if (code !== 0 || this.complaints.length > 0) throw new Error(`exit code ${code}: ${this.#said()}`);
    return this.lines;
  }

  /** Waits for an end that need not be a good one. */
  exitCode(): Promise<number | null> {
    return this.#exit;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  #said(): string {
    return [...this.lines, ...this.complaints].join("\n");
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
