import type { Command } from "commander";
import type { MeridianError } from "../../kernel/errors.ts";
import { type EmbeddedConfig, type NodeConfig, nodeConfig } from "../../node/config.ts";
import { addExamples, addJsonFlag, type Cli, type OutputFlags } from "../cli.ts";
import { addConfigFlags, type ConfigFlags, configSources } from "../config-flags.ts";
import { refuseIfUsed } from "../data-directory.ts";
import { EXIT } from "../exit-code.ts";
import type { Serving } from "../serve.ts";

type ServeFlags = ConfigFlags & OutputFlags;

export function addServe(program: Command, cli: Cli): void {
  const command = program
    .command("serve")
    .description("run one node: of a cluster on etcd and Cassandra, or by itself where the settings name no cluster");
  addJsonFlag(addConfigFlags(command)).action((flags: ServeFlags) => serveNode(cli, flags));
  addExamples(
    command,
    "meridian serve --config regions/local/us-east-1.json",
    "meridian serve --config node.json --set etcd.endpoints=10.0.0.1:2379,10.1.0.1:2379 --log-level info",
  );
  command.addHelpText("after", "\nFlags count more than the environment (MERIDIAN_NODE, …), and that more than the file.\n");
}

async function serveNode(cli: Cli, flags: ServeFlags): Promise<void> {
  const output = cli.open(flags);
  const { version, clock, signal } = cli.context;
  const startedMs = clock.monotonicMs();
  const config = nodeConfig(configSources(cli, flags));
  const { node, region, profile } = config;
  output.progress(`Meridian ${version} starts ${node} in ${region}`);
  const serving = await start(config, version);
  const tookMs = Math.round(clock.monotonicMs() - startedMs);
  const { clients, admin, health } = serving;
  const facts = { event: "ready", profile, region, node, clients, admin, health, tookMs, pid: process.pid };
  const checks = health === undefined ? "" : `, health checks ${health}`;
  await output.result(`${node} in ${region} serves after ${tookMs} ms: clients ${clients}, operators ${admin}${checks}`, facts);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  output.progress("handing everything over; a second signal ends at once");
  await serving.stop();
  await output.result(`${node} in ${region} has handed everything over`, { event: "stopped", region, node });
}

/** Loading the stores and the servers takes a third of a command's start, and no other command needs them. */
async function start(config: NodeConfig, version: string): Promise<Serving> {
  if (config.profile === "embedded") return startEmbedded(config, version);
  const { serveCluster } = await import("../serve-cluster.ts");
  return serveCluster({ config, version });
}

async function startEmbedded(config: EmbeddedConfig, version: string): Promise<Serving> {
  await refuseIfUsed(config.data);
  const { serve } = await import("../serve.ts");
  return serve({ config, version, onOwnerLost: exitAtOnce });
}

/** Nothing may be written any more: the other process leads now. */
export function exitAtOnce(error: MeridianError): void {
  process.stderr.write(`meridian: ${error.message}\n${error.advice}\n`);
  process.exit(EXIT.unavailable);
}
