import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { MeridianError } from "../kernel/errors.ts";
import { SETTINGS, withoutSecrets } from "../node/config.ts";
import { environmentSource, fileSource, flagSource, type Source } from "../node/settings.ts";
import type { Cli } from "./cli.ts";

/** The most common settings have flags of their own; `set` is for any. */
export interface ConfigFlags {
  readonly config?: string;
  readonly node?: string;
  readonly region?: string;
  readonly data?: string;
  readonly listen?: string;
  readonly peerListen?: string;
  readonly adminListen?: string;
  readonly healthListen?: string;
  readonly logLevel?: string;
  readonly set?: readonly (readonly [string, string])[];
}

export function addConfigFlags(command: Command): Command {
  const collect = (value: string, before: readonly (readonly [string, string])[] | undefined) => [
    ...(before ?? []),
    assignment(value),
  ];
  return command
    .option("--config <file>", "a JSON file with settings")
    .option("--node <name>", "the node's name, unique in its region")
    .option("--region <name>", "the region it stands in")
    .option("--data <directory>", "where the data of a node without a cluster lies")
    .option("--listen <host:port>", "where clients reach it")
    .option("--peer-listen <host:port>", "where other nodes reach it")
    .option("--admin-listen <host:port>", "where operators reach it")
    .option("--health-listen <host:port>", "where health checks reach it by HTTP")
    .option("--log-level <level>", "debug, info, warn or error")
    .option("--set <setting=value>", "any setting of docs/operating.md, such as etcd.endpoints=a:2379,b:2379", collect);
}

/** The file, the environment and the flags, each counting more than the one before. Throws INVALID_ARGUMENT. */
export function configSources(cli: Cli, flags: ConfigFlags): readonly Source[] {
  const { config, node, region, data, listen, peerListen, adminListen, healthListen, logLevel, set = [] } = flags;
  const own = definedOf({ node, region, data, listen, peerListen, adminListen, healthListen, logLevel });
  return [
    ...(config === undefined ? [] : [readConfig(config)]),
    environmentSource(cli.context.environment, SETTINGS),
    // The command line is everybody's to read as long as the process lives.
    withoutSecrets(flagSource({ ...Object.fromEntries(set), ...own }, SETTINGS)),
  ];
}

/** Throws INVALID_ARGUMENT when it is no JSON object, or holds a secret. */
function readConfig(file: string): Source {
  return withoutSecrets(fileSource(file, jsonObject(file), SETTINGS));
}

/** Throws INVALID_ARGUMENT. */
export function jsonObject(file: string): object {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (cause) {
    throw new MeridianError("INVALID_ARGUMENT", `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  throw new MeridianError("INVALID_ARGUMENT", `${file} must hold one JSON object`);
}

function assignment(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new MeridianError("INVALID_ARGUMENT", `--set ${text}: there is no value`, { advice: "Write it as setting=value." });
}

function definedOf(flags: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(flags).flatMap(([path, value]) => (value === undefined ? [] : [[path, value]])));
}
