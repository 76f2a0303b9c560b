import type { Command } from "commander";
import { effectiveSettings } from "../../node/config.ts";
import { addExamples, addJsonFlag, type Cli, type OutputFlags } from "../cli.ts";
import { addConfigFlags, type ConfigFlags, configSources } from "../config-flags.ts";

interface PrintFlags extends ConfigFlags, OutputFlags {
  readonly effective?: boolean;
}

export function addConfig(program: Command, cli: Cli): void {
  const command = program.command("config").description("look at the settings of a node");
  const print = command
    .command("print")
    .description("print the settings that a node would run with, and where each comes from; secrets are masked")
    .option("--effective", "defaults as well, not only what was set");
  addJsonFlag(addConfigFlags(print)).action((flags: PrintFlags) => printConfig(cli, flags));
  addExamples(print, "meridian config print --effective --config regions/local/us-east-1.json");
}

async function printConfig(cli: Cli, flags: PrintFlags): Promise<void> {
  const output = cli.open(flags);
  const all = effectiveSettings(configSources(cli, flags));
  const shown = all.filter(({ origin }) => flags.effective === true || origin !== "default");
  const rows = shown.map((facts) => ({ facts, value: textOf(facts.value) }));
  const names = Math.max(...shown.map(({ setting }) => setting.length));
  const values = Math.max(...rows.map(({ value }) => value.length));
  for (const { facts, value } of rows) {
    const { setting, origin } = facts;
    await output.result(`${setting.padEnd(names)}  ${value.padEnd(values)}  ${origin}`, facts);
  }
}

/** As the environment would say it. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(",");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, inner]) => `${key}=${inner}`)
    .join(",");
}
