import { type Command, InvalidArgumentError, Option } from "commander";
import type { AdminClient, Client, ClientOptions } from "../index.ts";
import { MeridianError } from "../kernel/errors.ts";
import type { Timers } from "../kernel/timing.ts";
import { ClusterFiles } from "./cluster-files.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { Output, type Streams } from "./output.ts";
import { routesOf } from "./regions.ts";

/** Durations by `monotonicMs`; `wallMs` compares with what other machines' clocks said, in milliseconds of UTC. */
export type CliClock = Timers & { monotonicMs(): number; wallMs(): number };

/** What a run of the program needs of its surroundings. */
export interface CliContext extends Streams {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Aborted when the user wants the program to end. */
  readonly signal: AbortSignal;
  readonly clock: CliClock;
  readonly connect: (options: ClientOptions) => Promise<Client>;
  readonly connectAdmin: (options: { readonly endpoint: string }) => AdminClient;
}

export interface OutputFlags {
  readonly json?: boolean;
}

export interface AdminFlags extends OutputFlags {
  readonly admin?: string;
}

export interface ClientFlags extends AdminFlags {
  /** Nodes' configuration files, and folders of them. */
  readonly config?: readonly string[];
  readonly endpoint?: readonly string[];
  readonly region?: string;
}

const ENDPOINT = "127.0.0.1:7401";
const ADMIN = "127.0.0.1:7421";

/** One run of the program: what its commands share. */
export class Cli {
  readonly context: CliContext;
  exitCode: ExitCode = EXIT.done;
  /** Set by the first command that knows its flags; an error before that is told to a person. */
  output: Output;
  /** Why the last try to connect failed. */
  #lastError: MeridianError | undefined;

  constructor(context: CliContext) {
    this.context = context;
    this.output = new Output(context, { json: false });
  }

  open(flags: OutputFlags): Output {
    this.output = new Output(this.context, { json: flags.json === true });
    return this.output;
  }

  /** Does the work with a client and closes it; `sender` only for sending. */
  async withClient<T>(
    flags: ClientFlags,
    options: { readonly sender?: string },
    work: (client: Client) => Promise<T>,
  ): Promise<T> {
    const endpoints = await this.endpointsOf(flags);
    const client = await this.context.connect({ endpoints, agent: this.agent, ...options });
    client.on("fault", ({ what, error }) => this.output.warn(`${what}: ${error.message}`));
    this.#tellState(client);
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  get agent(): string {
    return `meridian-cli/${this.context.version}`;
  }

  /** As a client that lives in the flags' region; else the nodes that are named; else the default. */
  async endpointsOf(flags: ClientFlags): Promise<readonly string[]> {
    const { region } = flags;
    const cluster = this.clusterOf(flags);
    if (region === undefined) return this.namedEndpoints(flags) ?? [ENDPOINT];
    if (cluster !== undefined) return cluster.endpointsFrom(region);
    return this.withAdmin(flags, async (admin) => routesOf(await admin.regions(), region));
  }

  /** The cluster whose nodes' files the flags name. Throws INVALID_ARGUMENT. */
  clusterOf({ config }: ClientFlags): ClusterFiles | undefined {
    return config === undefined ? undefined : ClusterFiles.read(config);
  }

  /** The nodes that the flags or the environment name, if any. */
  namedEndpoints(flags: ClientFlags): readonly string[] | undefined {
    if (flags.endpoint !== undefined) return flags.endpoint;
    const cluster = this.clusterOf(flags);
    if (cluster !== undefined) return cluster.nodes.map(({ listen }) => listen);
    const named = (this.context.environment.MERIDIAN_ENDPOINTS ?? "").split(",").map((part) => part.trim());
    const endpoints = named.filter((part) => part !== "");
    return endpoints.length > 0 ? endpoints : undefined;
  }

  async withAdmin<T>(flags: AdminFlags, work: (admin: AdminClient) => Promise<T>): Promise<T> {
    const endpoint = flags.admin ?? nonEmpty(this.context.environment.MERIDIAN_ADMIN) ?? ADMIN;
    const admin = this.context.connectAdmin({ endpoint });
    try {
      return await work(admin);
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      if (error.code !== "UNAVAILABLE") throw error;
      throw new MeridianError("UNAVAILABLE", `no answer of a node at ${endpoint}: ${error.message}`, {
        advice: "Is a node running there? Name another with --admin, or try again: these commands can be repeated safely.",
        cause: error,
      });
    } finally {
      admin.close();
    }
  }

  /** Of several things that a run has to say by its exit code, the gravest counts: broken before unknown before unavailable. */
  endWith(code: ExitCode): void {
    const gravity = [EXIT.done, EXIT.unavailable, EXIT.unknown, EXIT.usage, EXIT.violation];
    if (gravity.indexOf(code) > gravity.indexOf(this.exitCode)) this.exitCode = code;
  }

  /** What to tell when nothing came back: why connecting failed says more than that time ran out. */
  unreachable(error: MeridianError): MeridianError {
    if (error.code !== "UNAVAILABLE" || this.#lastError === undefined) return error;
    return new MeridianError("UNAVAILABLE", `no node could be reached: ${this.#lastError.message}`, {
      advice: "Is a node running there? Start one with `meridian start`, or name one with --endpoint.",
      cause: error,
    });
  }

  #tellState(client: Client): void {
    client.on("state", (state) => {
      if (state.status === "waiting") {
        this.#lastError = state.error;
        this.output.progress(`out of reach: ${state.error.message}; next try in ${(state.retryInMs / 1000).toFixed(1)} s`);
      } else if (state.status === "ready" && this.#lastError !== undefined) {
        this.#lastError = undefined;
        this.output.progress(`connected to ${state.node} in ${state.region}`);
      }
    });
  }
}

export function addJsonFlag(command: Command): Command {
  return command.option("--json", "one JSON object a line, for machines");
}

export function addClientFlags(command: Command): Command {
  const text = "be a client that lives in this region: of `meridian start`, whose --admin tells the way, or of --config";
  return addNodesFlag(addEndpointFlag(addAdminFlag(command), ENDPOINT)).addOption(
    new Option("--region <name>", text).conflicts("endpoint"),
  );
}

/** A cluster's nodes, by the files that they were started with. */
export function addNodesFlag(command: Command): Command {
  const text = "a configuration file of a cluster's node, or a folder of them: these are the nodes";
  return command.addOption(new Option("--config <path>", text).argParser(collect).conflicts("endpoint"));
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** `byDefault` says what is taken if no node is named. */
export function addEndpointFlag(command: Command, byDefault: string): Command {
  const text = `a node; of several, the nearest that serves is used (MERIDIAN_ENDPOINTS, with commas; default: ${byDefault})`;
  return command.option("-e, --endpoint <host:port>", text, collect);
}

export function addAdminFlag(command: Command): Command {
  return addJsonFlag(command).option("--admin <host:port>", `a node's address for operators (MERIDIAN_ADMIN; default: ${ADMIN})`);
}

export function addExamples(command: Command, ...examples: readonly string[]): void {
  command.addHelpText("after", ["", "Examples:", ...examples.map((example) => `  $ ${example}`)].join("\n"));
}

/** A parser of whole numbers in a range, for commander. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
