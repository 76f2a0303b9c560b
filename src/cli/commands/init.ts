import type { Command } from "commander";
import { clusterConfig } from "../../node/config.ts";
import { addExamples, addJsonFlag, type Cli, type OutputFlags } from "../cli.ts";
import { addConfigFlags, type ConfigFlags, configSources } from "../config-flags.ts";

type InitFlags = ConfigFlags & OutputFlags;

export function addInit(program: Command, cli: Cli): void {
  const command = program
    .command("init")
    .description("make a cluster's keyspace and tables in Cassandra, or bring them to this version; may be repeated");
  addJsonFlag(addConfigFlags(command)).action((flags: InitFlags) => initCluster(cli, flags));
  addExamples(command, "meridian init --config regions/local/us-east-1.json");
}

async function initCluster(cli: Cli, flags: InitFlags): Promise<void> {
  const output = cli.open(flags);
  const config = clusterConfig(configSources(cli, flags));
  const { keyspace } = config.cassandra;
  output.progress(`looking at the keyspace ${keyspace}`);
  const { initCassandra } = await import("../serve-cassandra.ts");
  const { from, to } = await initCassandra(config);
  await output.result(told(keyspace, from, to), { keyspace, from, to });
}

function told(keyspace: string, from: number, to: number): string {
  if (from === to) return `the keyspace ${keyspace} has version ${to} already: nothing to do`;
  if (from === 0) return `made the tables of the keyspace ${keyspace}, version ${to}`;
  return `brought the keyspace ${keyspace} from version ${from} to ${to}`;
}
