/**
 * Settings by their paths, such as `etcd.endpoints`, and where each value comes from: a file, the environment, a flag. All
 * three say the same things by the same names, so the list of settings is taken from the schema and written nowhere else.
 */
import { z } from "zod";
import { MeridianError } from "../kernel/errors.ts";

export interface Setting {
  /** As in the file, with dots: `etcd.endpoints`. */
  readonly path: string;
  /** `MERIDIAN_ETCD_ENDPOINTS`. */
  readonly variable: string;
  /** What a text means here. What makes no sense stays as it is, for the schema to refuse. */
  readonly parse: (text: string) => unknown;
}

/** Values by path, from one place. */
export interface Source {
  readonly values: ReadonlyMap<string, unknown>;
  /** Where the value of this setting stands, for people. */
  readonly origin: (path: string) => string;
}

/** Every setting of the schema. */
export function settingsOf({ shape }: z.ZodObject, before: readonly string[] = []): readonly Setting[] {
  return Object.entries(shape).flatMap(([key, type]) => {
    const path = [...before, key];
    const inner = unwrapped(type);
    if (inner instanceof z.ZodObject) return settingsOf(inner, path);
    return [{ path: path.join("."), variable: variableOf(path), parse: parserOf(inner) }];
  });
}

/** `settings` are those that may be a value with fields of its own; what is below them is no setting. */
export function fileSource(file: string, content: object, settings: readonly Setting[]): Source {
  const known = new Set(settings.map(({ path }) => path));
  const values = new Map<string, unknown>();
  const walk = (value: unknown, path: readonly string[]) => {
    const name = path.join(".");
    const isGroup = typeof value === "object" && value !== null && !Array.isArray(value) && !known.has(name);
    if (!isGroup || Object.keys(value).length === 0) values.set(name, value);
    else for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key]);
  };
  for (const [key, value] of Object.entries(content)) walk(value, [key]);
  return { values, origin: () => `file ${file}` };
}

export function environmentSource(
  environment: Readonly<Record<string, string | undefined>>,
  settings: readonly Setting[],
): Source {
  const values = settings.flatMap(({ path, variable, parse }): [string, unknown][] => {
    const text = environment[variable];
    return text === undefined ? [] : [[path, parse(text)]];
  });
  const variables = new Map(settings.map(({ path, variable }) => [path, variable]));
  return { values: new Map(values), origin: (path) => `environment ${variables.get(path)}` };
}

/** `flags` by path; undefined ones were not given. Texts are read as the environment's are. Throws INVALID_ARGUMENT. */
export function flagSource(flags: Readonly<Record<string, string | undefined>>, settings: readonly Setting[]): Source {
  const values = new Map<string, unknown>();
  for (const [path, text] of Object.entries(flags)) {
    if (text === undefined) continue;
    const setting = settings.find((each) => each.path === path);
    if (setting === undefined) {
      throw new MeridianError("INVALID_ARGUMENT", `there is no setting ${path}`, {
        advice: "docs/operating.md lists all settings.",
      });
    }
    values.set(path, setting.parse(text));
  }
  return { values, origin: () => "flag" };
}

/** One object of all values; later sources count more. */
export function merged(sources: readonly Source[]): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const { values } of sources) {
    for (const [path, value] of values) put(all, path.split("."), value);
  }
  return all;
}

/** The last of the sources that has the setting, or something above or below it. */
export function originOf(path: string, sources: readonly Source[]): string | undefined {
  const isNear = (other: string) => other === path || other.startsWith(`${path}.`) || path.startsWith(`${other}.`);
  const found = sources.flatMap(({ values, origin }) => {
    const near = [...values.keys()].find(isNear);
    return near === undefined ? [] : [origin(near)];
  });
  return found.at(-1);
}

export function valueAt(config: unknown, path: string): unknown {
  const step = (value: unknown, key: string) =>
    typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
  return path.split(".").reduce(step, config);
}

function put(into: Record<string, unknown>, [key = "", ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    into[key] = value;
    return;
  }
  const inner = into[key];
  const group = typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>) : {};
  into[key] = group;
  put(group, rest, value);
}

function unwrapped(type: unknown): unknown {
  const isWrapped = type instanceof z.ZodOptional || type instanceof z.ZodDefault || type instanceof z.ZodPrefault;
  return isWrapped ? unwrapped(type.unwrap()) : type;
}

/** `peerListen` is PEER_LISTEN. */
function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
  return ["MERIDIAN", ...words].join("_");
}

function parserOf(type: unknown): (text: string) => unknown {
  if (type instanceof z.ZodNumber) return (text) => (text.trim() === "" ? text : Number(text));
  if (type instanceof z.ZodBoolean) return (text) => ({ true: true, false: false })[text] ?? text;
  if (type instanceof z.ZodArray) return listOf;
  if (type instanceof z.ZodRecord) return (text) => Object.fromEntries(listOf(text).map(pairOf));
  return (text) => text;
}

/** `a,b` as a list. */
function listOf(text: string): readonly string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** `a=b` as a pair. */
function pairOf(text: string): readonly [string, string] {
  const [key = "", ...rest] = text.split("=");
  return [key, rest.join("=")];
}
