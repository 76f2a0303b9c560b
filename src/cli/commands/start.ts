import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { type EmbeddedConfig, embeddedConfig, type RegionsConfig, regionsConfig } from "../../node/config.ts";
import { Topology } from "../../node/topology.ts";
import { addExamples, addJsonFlag, type Cli, integer, type OutputFlags } from "../cli.ts";
import { configSources } from "../config-flags.ts";
import { refuseIfUsed } from "../data-directory.ts";
import { humanLog } from "../human-log.ts";
import { LiveView, type RegionLook } from "../live-view.ts";
import type { Serving } from "../serve.ts";
import type { ServingRegions } from "../serve-regions.ts";
import { exitAtOnce } from "./serve.ts";

interface StartFlags extends OutputFlags {
  readonly regions?: number;
  readonly topology?: string;
  readonly config?: string;
  readonly data?: string;
  readonly listen?: string;
  readonly peerListen?: string;
  readonly adminListen?: string;
  readonly logLevel?: string;
}

/** Meridian's own three regions. */
export const TOPOLOGY = fileURLToPath(new URL("../../../regions/topology.json", import.meta.url));

export function addStart(program: Command, cli: Cli): void {
  const command = program
    .command("start")
    .description("start the regions of a topology on this machine, with real delays between them; or a single node")
    .option("--regions <number>", "1 for a single node without delays (default: all of the topology)", integer(1, 1))
    .option("--topology <file>", "the regions, their addresses and distances (default: Meridian's own three)")
    .option("--config <file>", "a JSON file with settings")
    .option("--data <directory>", "where the data lies (default: .meridian/regions, or .meridian/local for a single node)")
    .option("--listen <host:port>", "where clients reach a single node (default: 127.0.0.1:7401)")
    .option("--peer-listen <host:port>", "where other nodes reach a single node (default: 127.0.0.1:7411)")
    .option("--admin-listen <host:port>", "where operators reach a single node (default: 127.0.0.1:7421)")
    .option("--log-level <level>", "debug, info, warn or error (default: warn)");
  addJsonFlag(command).action((flags: StartFlags) => start(cli, flags));
  addExamples(
    command,
    "meridian start",
    "meridian start --data ./data --topology my-regions.json",
    "meridian start --regions 1",
    "meridian start --regions 1 --listen 127.0.0.1:7501 --peer-listen 127.0.0.1:7511 --admin-listen 127.0.0.1:7521",
  );
  command.addHelpText(
    "after",
    "\nFlags count more than the environment (MERIDIAN_DATA, MERIDIAN_LISTEN, …), and that more than the file.\n",
  );
}

type Say = (text: string, facts?: object) => Promise<void>;

async function start(cli: Cli, flags: StartFlags): Promise<void> {
  const { regions, topology } = flags;
  const sources = configSources(cli, flags);
  const say = startOutput(cli, flags);
  if (regions === 1) await startNode(cli, embeddedConfig(sources), say);
  else await startRegions(cli, regionsConfig(sources), await Topology.read(topology ?? TOPOLOGY), say);
}

async function startNode(cli: Cli, config: EmbeddedConfig, say: Say): Promise<void> {
  const { version, clock } = cli.context;
  const startedMs = clock.monotonicMs();
  await say(`Meridian ${version} starts one region; its data lies in ${config.data}`);
  await refuseIfUsed(config.data);
  // Loading the store and the servers takes a third of a command's start, and no other command needs them.
  const { serve } = await import("../serve.ts");
  const serving = await serve({ config, version, onOwnerLost: exitAtOnce });
  const tookMs = Math.round(clock.monotonicMs() - startedMs);
  await say(readyText(serving, config, tookMs), readyFacts(serving, config, tookMs));
  await untilStopped(cli, say, () => serving.stop());
}

async function startRegions(cli: Cli, config: RegionsConfig, topology: Topology, say: Say): Promise<void> {
  const { version, clock } = cli.context;
  const startedMs = clock.monotonicMs();
  const names = topology.names.join(", ");
  await say(`Meridian ${version} starts ${topology.names.length} regions: ${names}; their data lies in ${config.data}`);
  await refuseIfUsed(config.data);
  const { serveRegions } = await import("../serve-regions.ts");
  let serving: ServingRegions | undefined;
  const view = new LiveView({ streams: cli.context, timers: clock, look: () => looksOf(serving) });
  const log = (line: string) => view.print(cli.context.stderrIsTerminal ? humanLog(line) : line);
  serving = await serveRegions({ config, topology, version, log, onOwnerLost: exitAtOnce });
  const tookMs = Math.round(clock.monotonicMs() - startedMs);
  await say(regionsText(serving, config, topology, tookMs), regionsFacts(serving, config, tookMs));
  view.start();
  await untilStopped(
    cli,
    async (text, facts) => {
      view.stop();
      await say(text, facts);
    },
    serving.stop,
  );
}

async function untilStopped(cli: Cli, say: Say, stop: () => Promise<void>): Promise<void> {
  const { signal } = cli.context;
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await say("\nhanding everything back; a second signal ends at once");
  await stop();
  await say("stopped; a restart goes on where this ended");
}

/** People get every line, machines only those with facts. */
function startOutput(cli: Cli, flags: OutputFlags): Say {
  cli.open(flags);
  return async (text, facts) => {
    if (flags.json !== true) await cli.context.stdout(`${text}\n`);
    else if (facts !== undefined) await cli.output.result(text, facts);
  };
}

function looksOf(serving: ServingRegions | undefined): readonly RegionLook[] {
  if (serving === undefined) return [];
  const { lost, behind } = serving.faults();
  const lag = serving.takeLag();
  return serving.regions.map(({ region, node, counters }) => {
    const isJoined = node.reasons().length === 0;
    const state = lost.includes(region) ? "lost" : !isJoined ? "joining" : behind.includes(region) ? "catching up" : "up";
    const facts = { leads: node.conversations.led().length, ordered: counters().get("leader.messages") ?? 0 };
    return { region, state, ...facts, lagMs: lag.get(region), clients: node.sessions };
  });
}

function readyFacts({ clients, admin }: Serving, { data, region, node }: EmbeddedConfig, tookMs: number): object {
  return { event: "ready", region, node, clients, admin, data, tookMs, pid: process.pid };
}

function regionsFacts({ regions }: ServingRegions, { data }: RegionsConfig, tookMs: number): object {
  const addresses = regions.map(({ region, clients, admin }) => ({ region, clients, admin }));
  return { event: "ready", regions: addresses, data, tookMs, pid: process.pid };
}

function readyText({ clients, admin }: Serving, { data }: EmbeddedConfig, tookMs: number): string {
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

function regionsText({ regions }: ServingRegions, { data }: RegionsConfig, topology: Topology, tookMs: number): string {
  const [first, second = first, third = second] = regions.map(({ region }) => region);
  const admin = regions[0]?.admin ?? "";
  const adminAt = admin === "127.0.0.1:7421" ? "" : ` --admin ${admin}`;
  const width = Math.max(...regions.map(({ region }) => region.length));
  const rows = regions.map(({ region, clients, admin: operators }) => {
    const far = regions.filter((other) => other.region !== region);
    const rtts = far.map((other) => `${2 * topology.oneWayMs(region, other.region)} ms to ${other.region}`);
    return `  ${region.padEnd(width)}  clients ${clients}  operators ${operators}  ${rtts.join(", ")}`;
  });
  return `ready after ${tookMs} ms

${rows.join("\n")}
  ${"data".padEnd(width)}  ${data}

In other terminals:

  npx meridian tail standup --region ${third} --from-start${adminAt}
  npx meridian send standup "good morning" --region ${first}${adminAt}
  npx meridian chaos kill ${second}${adminAt}

Ctrl-C hands everything back and stops. What was acknowledged is on the disk.`;
}
