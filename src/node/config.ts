import { z } from "zod";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[a-z0-9][a-z0-9-]*$/, "small letters, digits and dashes, please");

/** `host:port`, `[::1]:port` included. */
const address = z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/, "an address is host:port");

const schema = z
  .strictObject({
    /** The node's name, unique in its region. */
    node: name.default("node-1"),
    /** The region it stands in. */
    region: name.default("local"),
    /** Where its data lies. */
    data: z.string().min(1).default(".meridian/local"),
    /** Where clients reach it. Port 0 takes any free one. */
    listen: address.default("127.0.0.1:7401"),
    /** Where other nodes reach it. */
    peerListen: address.default("127.0.0.1:7411"),
    /** Where operators reach it. */
    adminListen: address.default("127.0.0.1:7421"),
    /** The largest body that it takes, in bytes. */
    bodyBytesMax: z.int().min(1).max(LIMITS.bodyBytesCeiling).default(LIMITS.bodyBytes),
    /** By how much the machine's clock may be wrong, in milliseconds. The operator vouches for it: see docs/operating.md. */
    clockErrorMs: z.number().min(0).max(LIMITS.clockErrorMs).default(100),
    logLevel: z.enum(["debug", "info", "warn", "error"]).default("warn"),
  })
  .readonly();

export type NodeConfig = z.infer<typeof schema>;

/** Later sources have precedence: the file, the environment, the flags. Throws INVALID_ARGUMENT that names each fault. */
export function nodeConfig(...sources: readonly object[]): NodeConfig {
  const defined = sources.map((source) => Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined)));
  const parsed = schema.safeParse(Object.assign({}, ...defined));
  if (!parsed.success) {
    throw new MeridianError("INVALID_ARGUMENT", `the configuration is wrong: ${z.prettifyError(parsed.error)}`, {
      advice: "Mend the named settings; docs/operating.md lists them all.",
    });
  }
  for (const where of [parsed.data.listen, parsed.data.peerListen, parsed.data.adminListen]) checkLoopback(where);
  return parsed.data;
}

const NUMBERS = new Set(["bodyBytesMax", "clockErrorMs"]);

/** What remains to be set where all regions run in one process; the topology says where they listen. */
export type RegionsConfig = Pick<NodeConfig, "data" | "bodyBytesMax" | "clockErrorMs" | "logLevel">;

const REGIONS_DATA = ".meridian/regions";
const OF_ONE_NODE = ["node", "region", "listen", "peerListen", "adminListen"] as const;

/** As `nodeConfig`, and settings that only one node can have are refused. */
export function regionsConfig(...sources: readonly object[]): RegionsConfig {
  const config = nodeConfig({ data: REGIONS_DATA }, ...sources);
  const foreign = OF_ONE_NODE.filter((setting) => sources.some((source) => setting in source));
  if (foreign.length === 0) return config;
  throw new MeridianError("INVALID_ARGUMENT", `${foreign.join(", ")}: these settings are of one node, and this starts several`, {
    advice: "Start one region with --regions 1, or change the addresses in the topology file.",
  });
}

/** `MERIDIAN_LOG_LEVEL=debug` sets `logLevel`, and so on for every setting. */
export function environmentConfig(environment: Readonly<Record<string, string | undefined>>): object {
  const settings = Object.keys(schema.unwrap().shape).flatMap((setting) => {
    const value = environment[`MERIDIAN_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`];
    return value === undefined ? [] : [[setting, NUMBERS.has(setting) ? Number(value) : value]];
  });
  return Object.fromEntries(settings);
}

/** Nobody is authenticated yet: whoever reaches the port may read and write everything. */
function checkLoopback(where: string): void {
  const host = where.slice(0, where.lastIndexOf(":"));
  if (host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host)) return;
  throw new MeridianError("INVALID_ARGUMENT", `${where} is not a loopback address`, {
    advice: "Listen on 127.0.0.1: there is no TLS and no authentication yet, so other addresses are refused.",
  });
}
