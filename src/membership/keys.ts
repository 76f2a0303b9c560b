import { MeridianError } from "../kernel/errors.ts";
import type { KeyValue, LeaseId } from "../ports/coordinator.ts";

/** Everything that a cluster keeps in its coordinator stands below this. */
const PREFIX = "meridian/";

/** The names of the coordinator's keys. A conversation's name comes last, so it may hold anything, slashes included. */
export const keys = {
  prefix: PREFIX,
  placement: `${PREFIX}placement`,
  nodes: `${PREFIX}nodes/`,
  shards: `${PREFIX}shards/`,
  node: (region: string, node: string) => `${PREFIX}nodes/${region}/${node}`,
  shard: (region: string, shard: number) => `${PREFIX}shards/${region}/${shard}`,
  /** The home keys of a shard. Region and shard are the default ones: they never change. */
  homes: (region: string, shard: number) => `${PREFIX}homes/${region}/${shard}/`,
  home: (region: string, shard: number, conversation: string) => `${PREFIX}homes/${region}/${shard}/${conversation}`,
} as const;

export type KeyName =
  | { readonly kind: "placement" }
  | { readonly kind: "node"; readonly region: string; readonly node: string }
  | { readonly kind: "shard"; readonly region: string; readonly shard: number }
  | { readonly kind: "home"; readonly region: string; readonly shard: number; readonly conversation: string };

/** What a key is; undefined for keys of other parts of the product and for what nobody of ours has written. */
export function parseKey(key: string): KeyName | undefined {
  if (key === keys.placement) return { kind: "placement" };
  if (!key.startsWith(PREFIX)) return undefined;
  const match = /^(nodes|shards|homes)\/([^/]+)\/([^/]+)(?:\/(.+))?$/su.exec(key.slice(PREFIX.length));
  const [, folder, region, third, rest] = match ?? [];
  if (region === undefined || third === undefined) return undefined;
  if (folder === "nodes") return rest === undefined ? { kind: "node", region, node: third } : undefined;
  if (!/^(0|[1-9][0-9]{0,8})$/.test(third)) return undefined;
  const shard = Number(third);
  if (folder === "shards") return rest === undefined ? { kind: "shard", region, shard } : undefined;
  return rest === undefined ? undefined : { kind: "home", region, shard, conversation: rest };
}

/** The value of a shard key and of a node key: whose it is. */
export interface Owner {
  readonly lease: LeaseId;
  /** Where other nodes reach it, `host:port`. */
  readonly address: string;
}

/** The value of the placement key. All nodes agree on it, or they would seek one conversation in two places. */
export interface PlacementValue {
  /** Of the functions that map a conversation to its shard and default home. */
  readonly version: number;
  readonly shards: number;
  /** Sorted: the default homes are chosen among these. */
  readonly regions: readonly string[];
  /** Raised by an operator after a restore, and never else; 0 to 32,767, so that an epoch fits 63 bits. */
  readonly incarnation: number;
}

/** The value of a home key. */
export interface HomeValue {
  readonly home: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeValue(value: Owner | PlacementValue | HomeValue): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** These three throw CORRUPT for anything but what `encodeValue` writes. */
export function parseOwner(kv: KeyValue): Owner {
  const { lease, address } = parseFields(kv, { lease: isText, address: isText });
  return { lease, address } as Owner;
}

export function parseHome(kv: KeyValue): HomeValue {
  const { home } = parseFields(kv, { home: isText });
  return { home } as HomeValue;
}

export function parsePlacement(kv: KeyValue): PlacementValue {
  const fields = { version: isCount, shards: isCount, regions: isTexts, incarnation: isIncarnation };
  const { version, shards, regions, incarnation } = parseFields(kv, fields);
  return { version, shards, regions, incarnation } as PlacementValue;
}

function parseFields<K extends string>(kv: KeyValue, checks: Record<K, (value: unknown) => boolean>): Record<K, unknown> {
  const value = parseJson(kv);
  const names = Object.keys(checks) as K[];
  const fits = Object.keys(value).length === names.length && names.every((name) => checks[name](value[name]));
  if (!fits) throw corrupt(kv.key);
  return value as Record<K, unknown>;
}

function parseJson(kv: KeyValue): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(decoder.decode(kv.value));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    throw corrupt(kv.key, cause);
  }
  throw corrupt(kv.key);
}

function corrupt(key: string, cause?: unknown): MeridianError {
  return new MeridianError("CORRUPT", `the coordinator's key ${key} has a value that no node of this version writes`, {
    advice: "Look at the key: was it written by hand, or by a newer version? Put it right before starting nodes.",
    details: { key },
    cause,
  });
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isText);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isIncarnation(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 32_767;
}
