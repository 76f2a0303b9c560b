/**
 * What a node is told: by a JSON file, by `MERIDIAN_…` variables and by flags, each counting more than the one before.
 *
 * A node that is told of etcd, Cassandra and all regions is one of a cluster. Without them it is a region by itself, with
 * everything in a directory of its own.
 */
import type { z } from "zod";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { cluster, embedded } from "./config-schema.ts";
import { merged, originOf, type Setting, type Source, settingsOf, valueAt } from "./settings.ts";

export type EmbeddedConfig = z.infer<typeof embedded> & { readonly profile: "embedded" };
export type ClusterConfig = z.infer<typeof cluster> & { readonly profile: "cluster" };
export type NodeConfig = EmbeddedConfig | ClusterConfig;

/** All that there are, of both profiles. */
export const SETTINGS: readonly Setting[] = unique([...settingsOf(embedded), ...settingsOf(cluster)]);

const OF_CLUSTER = ["regions", "etcd", "cassandra", "lease"];
const SECRETS = ["etcd.password", "cassandra.password"];

/** Later sources count more. Throws INVALID_ARGUMENT that names each fault and where it stands. */
export function nodeConfig(sources: readonly Source[]): NodeConfig {
  const raw = merged(sources);
  if (OF_CLUSTER.some((key) => key in raw)) {
    const config = { ...parse(cluster, raw, sources), profile: "cluster" } as const;
    refuse(clusterFaults(config), sources);
    return config;
  }
  const config = { ...parse(embedded, raw, sources), profile: "embedded" } as const;
  refuse(addressFaults(config), sources);
  return config;
}

/** As `nodeConfig`, where there can be no cluster. */
export function embeddedConfig(sources: readonly Source[]): EmbeddedConfig {
  const config = nodeConfig(sources);
  if (config.profile === "embedded") return config;
  throw new MeridianError("INVALID_ARGUMENT", "this is the configuration of a node of a cluster", {
    advice: "Run it with: meridian serve --config FILE",
  });
}

/** As `nodeConfig`, where there must be a cluster. */
export function clusterConfig(sources: readonly Source[]): ClusterConfig {
  const config = nodeConfig(sources);
  if (config.profile === "cluster") return config;
  throw new MeridianError("INVALID_ARGUMENT", "this is no configuration of a cluster: it names neither etcd nor Cassandra", {
    advice: "Name a file with --config; regions/local/us-east-1.json is an example.",
  });
}

/** What remains to be set where all regions run in one process; the topology says where they listen. */
export type RegionsConfig = Pick<EmbeddedConfig, "data" | "bodyBytesMax" | "clockErrorMs" | "logLevel">;

const REGIONS_DATA = ".meridian/regions";
const OF_ONE_NODE = ["node", "region", "listen", "peerListen", "adminListen", "healthListen"];

/** As `nodeConfig`, and settings that only one node can have are refused. */
export function regionsConfig(sources: readonly Source[]): RegionsConfig {
  const config = embeddedConfig([{ values: new Map([["data", REGIONS_DATA]]), origin: () => "default" }, ...sources]);
  const foreign = OF_ONE_NODE.filter((setting) => sources.some(({ values }) => values.has(setting)));
  if (foreign.length === 0) return config;
  throw new MeridianError("INVALID_ARGUMENT", `${foreign.join(", ")}: these settings are of one node, and this starts several`, {
    advice: "Start one region with --regions 1, or change the addresses in the topology file.",
  });
}

export interface EffectiveSetting {
  readonly setting: string;
  readonly value: unknown;
  readonly origin: string;
}

/** What a node is told in the end, and by whom; secrets are masked. */
export function effectiveSettings(sources: readonly Source[]): readonly EffectiveSetting[] {
  const config = nodeConfig(sources);
  return SETTINGS.flatMap(({ path }) => {
    const value = valueAt(config, path);
    if (value === undefined) return [];
    const shown = SECRETS.includes(path) ? "********" : value;
    return [{ setting: path, value: shown, origin: originOf(path, sources) ?? "default" }];
  });
}

interface Fault {
  readonly path: string;
  readonly message: string;
}

function parse<T extends z.ZodType>(schema: T, raw: object, sources: readonly Source[]): z.infer<T> {
  const parsed = schema.safeParse(raw);
  if (!parsed.success) refuse(parsed.error.issues.flatMap(faultsOf), sources);
  return parsed.data as z.infer<T>;
}

function faultsOf(issue: z.core.$ZodIssue): readonly Fault[] {
  const path = issue.path.map(String);
  if (issue.code !== "unrecognized_keys") return [{ path: path.join("."), message: issue.message }];
  return issue.keys.map((key) => ({ path: [...path, key].join("."), message: "there is no such setting here" }));
}

function refuse(faults: readonly Fault[], sources: readonly Source[]): void {
  if (faults.length === 0) return;
  const told = faults.map(({ path, message }) => {
    const origin = originOf(path, sources);
    return `${path}${origin === undefined ? "" : ` (${origin})`}: ${message}`;
  });
  throw new MeridianError("INVALID_ARGUMENT", `the configuration is wrong: ${told.join("; ")}`, {
    advice: "Mend the named settings; docs/operating.md lists them all.",
  });
}

/** What no single setting shows. */
function clusterFaults(config: ClusterConfig): readonly Fault[] {
  const { region, regions, lease, peerListen } = config;
  const faults: Fault[] = [...addressFaults(config), ...accessFaults("etcd", config), ...accessFaults("cassandra", config)];
  if (regions[region] === undefined) {
    faults.push({ path: "regions", message: `the node's own region ${region} is not among ${Object.keys(regions).join(", ")}` });
  }
  const dataCenters = Object.values(regions);
  if (new Set(dataCenters).size < dataCenters.length)
    faults.push({ path: "regions", message: "two regions share a data center" });
  if (peerListen.endsWith(":0"))
    faults.push({ path: "peerListen", message: "other nodes must know the port, so it cannot be 0" });
  const lastsMs = lease.ttlMs - lease.marginMs;
  if (3 * lease.renewMs > lastsMs) {
    faults.push({ path: "lease", message: `three renewals (${lease.renewMs} ms) must fit into ttlMs − marginMs, ${lastsMs} ms` });
  }
  const lastsMaxMs = LIMITS.fenceAheadMs - LIMITS.idLeadMs - LIMITS.fenceMoveMs;
  if (lastsMs > lastsMaxMs) {
    faults.push({ path: "lease", message: `ttlMs − marginMs is ${lastsMs} ms, and ids are fenced for at most ${lastsMaxMs} ms` });
  }
  return faults;
}

function accessFaults(engine: "etcd" | "cassandra", config: ClusterConfig): readonly Fault[] {
  const { username, password, passwordFile, tls: files } = config[engine];
  const faults: Fault[] = [];
  const passwords = [password, passwordFile].filter((given) => given !== undefined).length;
  if (passwords > 1) faults.push({ path: `${engine}.passwordFile`, message: "the password is given twice" });
  if ((username === undefined) !== (passwords === 0)) {
    faults.push({ path: `${engine}.username`, message: "a name and a password go together" });
  }
  if ((files?.certFile === undefined) !== (files?.keyFile === undefined)) {
    faults.push({ path: `${engine}.tls`, message: "a certificate and its key go together" });
  }
  return faults;
}

/** Nobody is authenticated yet: whoever reaches a port may read and write everything, so somebody has to say that this is meant. */
function addressFaults(config: NodeConfig): readonly Fault[] {
  if (config.insecure) return [];
  const uses = ["listen", "peerListen", "adminListen", "healthListen"] as const;
  return uses.flatMap((path) => {
    const where = config[path];
    if (where === undefined || isLoopback(where)) return [];
    const why = "there is no TLS and no authentication yet, so listen on 127.0.0.1, or on a network of your own set insecure";
    return [{ path, message: `${where} is not a loopback address; ${why}` }];
  });
}

function isLoopback(where: string): boolean {
  const host = where.slice(0, where.lastIndexOf(":"));
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

function unique(settings: readonly Setting[]): readonly Setting[] {
  return [...new Map(settings.map((setting) => [setting.path, setting])).values()];
}

/** The source. Throws INVALID_ARGUMENT for a secret in it: people read, copy and commit such places. */
export function withoutSecrets(source: Source): Source {
  const found = SECRETS.find((path) => source.values.has(path));
  if (found === undefined) return source;
  throw new MeridianError("INVALID_ARGUMENT", `${found} (${source.origin(found)}): secrets do not belong here`, {
    advice: `Put it into a file of its own and name that by ${found}File, or set it by the environment.`,
  });
}
