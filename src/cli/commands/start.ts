import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { MeridianError } from "../../kernel/errors.ts";
import { environmentConfig, type NodeConfig, nodeConfig } from "../../node/config.ts";
import { addExamples, addJsonFlag, type Cli, integer, type OutputFlags } from "../cli.ts";
import { EXIT } from "../exit-code.ts";
import type { Serving } from "../serve.ts";

interface StartFlags extends OutputFlags {
  readonly regions: number;
  readonly config?: string;
  readonly data?: string;
  readonly listen?: string;
  readonly peerListen?: string;
  readonly adminListen?: string;
  readonly logLevel?: string;
}

export function addStart(program: Command, cli: Cli): void {
  const command = program
    .command("start")
    .description("start a node on this machine, with its coordinator and its log in one data directory")
    .option("--regions <number>", "how many regions to start; this version runs one", integer(1, 1), 1)
    .option("--config <file>", "a JSON file with settings")
    .option("--data <directory>", "where the data lies (default: .meridian/local)")
    .option("--listen <host:port>", "where clients reach the node (default: 127.0.0.1:7401)")
    .option("--peer-listen <host:port>", "where other nodes reach the node (default: 127.0.0.1:7411)")
    .option("--admin-listen <host:port>", "where operators reach the node (default: 127.0.0.1:7421)")
    .option("--log-level <level>", "debug, info, warn or error (default: warn)");
  addJsonFlag(command).action((flags: StartFlags) => start(cli, flags));
  addExamples(
    command,
    "meridian start",
    "meridian start --regions 1 --data ./data",
    "meridian start --listen 127.0.0.1:7501 --peer-listen 127.0.0.1:7511 --admin-listen 127.0.0.1:7521",
    "meridian start --config node.json --log-level info",
  );
  command.addHelpText(
    "after",
    "\nFlags count more than the environment (MERIDIAN_DATA, MERIDIAN_LISTEN, …), and that more than the file.\n",
  );
}

async function start(cli: Cli, flags: StartFlags): Promise<void> {
  const { regions: _, config: file, json: __, ...settings } = flags;
  const { environment, signal, version, clock } = cli.context;
  const say = startOutput(cli, flags);
  const config = nodeConfig(file === undefined ? {} : fileConfig(file), environmentConfig(environment), settings);
  const startedMs = clock.monotonicMs();
  await say(`Meridian ${version} starts one region; its data lies in ${config.data}`);
  // Loading the store and the servers takes a third of a command's start, and no other command needs them.
  const { serve } = await import("../serve.ts");
  const serving = await serve({ config, version, onOwnerLost: exitAtOnce });
  const tookMs = Math.round(clock.monotonicMs() - startedMs);
  await say(readyText(serving, config, tookMs), readyFacts(serving, config, tookMs));
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await say("\nhanding everything back; a second signal ends at once");
  await serving.stop();
  await say("stopped; a restart goes on where this ended");
}

/** People get every line, machines only those with facts. */
function startOutput(cli: Cli, flags: OutputFlags): (text: string, facts?: object) => Promise<void> {
  cli.open(flags);
  return async (text, facts) => {
    if (flags.json !== true) await cli.context.stdout(`${text}\n`);
    else if (facts !== undefined) await cli.output.result(text, facts);
  };
}

function fileConfig(file: string): object {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (cause) {
    throw new MeridianError("INVALID_ARGUMENT", `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  throw new MeridianError("INVALID_ARGUMENT", `${file} must hold one JSON object`);
}

function readyFacts({ clients, admin }: Serving, { data, region, node }: NodeConfig, tookMs: number): object {
  return { event: "ready", region, node, clients, admin, data, tookMs, pid: process.pid };
}

function readyText({ clients, admin }: Serving, { data }: NodeConfig, tookMs: number): string {
  const at = clients === "127.0.0.1:7401" ? "" : ` --endpoint ${clients}`;
  const adminAt = admin === "127.0.0.1:7421" ? "" : ` --admin ${admin}`;
  return `ready after ${tookMs} ms

  clients    ${clients}
  operators  ${admin}
  data       ${data}

In another terminal:

  npx meridian tail standup --from-start${at}
  npx meridian send standup "good morning"${at}
  npx meridian status${adminAt}

Ctrl-C hands everything back and stops. What was acknowledged is on the disk.`;
}

/** Nothing may be written any more: the other process leads now. */
function exitAtOnce(error: MeridianError): void {
  process.stderr.write(`meridian: ${error.message}\n${error.advice}\n`);
  process.exit(EXIT.unavailable);
}
