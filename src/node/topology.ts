import { readFile } from "node:fs/promises";
import { z } from "zod";
import { MeridianError } from "../kernel/errors.ts";

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "a region's name is 1 to 64 small letters, digits and dashes");

/** Nobody is authenticated yet, so everything that is embedded stays on the machine. */
const address = z.string().regex(/^127(\.\d{1,3}){3}:\d{1,5}$/, "an embedded address is 127.x.x.x:port");

const region = z.strictObject({
  /** Its data center, as Cassandra names it. */
  dataCenter: z.string().regex(/^[A-Za-z0-9_]{1,48}$/, "a data center's name is 1 to 48 letters, digits and underscores"),
  /** The region's private network: of no region does it overlap with another's. */
  cidr: z.cidrv4(),
  /** Where its node listens when all regions run on one machine. Port 0 takes any free one. */
  embedded: z.strictObject({ clients: address, peers: address, admin: address }),
});

const schema = z
  .strictObject({
    /** The region from which an embedded coordinator answers. */
    coordinator: name,
    regions: z.record(name, region),
    /** Round trips in milliseconds, each pair of regions once, in either order. */
    rttMs: z.record(name, z.record(name, z.number().min(0).max(10_000))),
  })
  .superRefine((file, context) => {
    for (const fault of faults(file)) context.addIssue({ code: "custom", ...fault });
  });

type File = z.infer<typeof schema>;

export type Region = z.infer<typeof region> & { readonly name: string };

/** The regions of a cluster and how far they are from each other: `regions/topology.json`. */
export class Topology {
  /** In the file's order. */
  readonly regions: readonly Region[];
  /** The region from which an embedded coordinator answers. */
  readonly coordinator: string;
  readonly #rttMs: File["rttMs"];

  private constructor(file: File) {
    this.regions = Object.entries(file.regions).map(([name, facts]) => ({ name, ...facts }));
    this.coordinator = file.coordinator;
    this.#rttMs = file.rttMs;
  }

  /** `source` names the text in errors. Throws INVALID_ARGUMENT that names each fault. */
  static parse(text: string, source: string): Topology {
    const parsed = schema.safeParse(json(text, source));
    if (!parsed.success) throw wrong(source, z.prettifyError(parsed.error));
    return new Topology(parsed.data);
  }

  /** Throws INVALID_ARGUMENT, also when the file cannot be read. */
  static async read(path: string): Promise<Topology> {
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      throw wrong(path, error instanceof Error ? error.message : String(error), "Give the path of a topology file that exists.");
    }
    return Topology.parse(text, path);
  }

  get names(): readonly string[] {
    return this.regions.map((region) => region.name);
  }

  /** Throws NOT_FOUND. */
  region(name: string): Region {
    const found = this.regions.find((region) => region.name === name);
    if (found !== undefined) return found;
    throw new MeridianError("NOT_FOUND", `there is no region ${JSON.stringify(name)}`, {
      advice: `The topology's regions are ${this.names.join(", ")}.`,
    });
  }

  /** Milliseconds from one region to another, half of a round trip; 0 inside a region. Throws NOT_FOUND. */
  oneWayMs(from: string, to: string): number {
    const [a, b] = [this.region(from).name, this.region(to).name];
    return (this.#rttMs[a]?.[b] ?? this.#rttMs[b]?.[a] ?? 0) / 2;
  }
}

function json(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrong(source, error instanceof Error ? error.message : String(error));
  }
}

function wrong(
  source: string,
  why: string,
  advice = "Mend the named places; regions/topology.json is an example.",
): MeridianError {
  return new MeridianError("INVALID_ARGUMENT", `the topology ${source} is wrong: ${why}`, { advice });
}

interface Fault {
  readonly path: string[];
  readonly message: string;
}

/** What no single field shows. */
function faults(file: File): Fault[] {
  const names = Object.keys(file.regions);
  const found: Fault[] = [];
  if (names.length === 0) found.push({ path: ["regions"], message: "there is no region" });
  if (!names.includes(file.coordinator)) {
    found.push({ path: ["coordinator"], message: `${file.coordinator} is none of the regions` });
  }
  return [...found, ...distanceFaults(file, names), ...repeatedValues(file), ...overlaps(file)];
}

function distanceFaults({ rttMs }: File, names: readonly string[]): Fault[] {
  const found: Fault[] = [];
  for (const [from, row] of Object.entries(rttMs)) {
    for (const to of Object.keys(row)) {
      const unknown = [from, to].find((name) => !names.includes(name));
      if (unknown !== undefined) found.push({ path: ["rttMs", from, to], message: `${unknown} is none of the regions` });
      if (from === to) found.push({ path: ["rttMs", from, to], message: "a region is not away from itself" });
    }
  }
  for (const [index, a] of names.entries()) {
    for (const b of names.slice(index + 1)) {
      const given = [rttMs[a]?.[b], rttMs[b]?.[a]].filter((value) => value !== undefined).length;
      if (given !== 1) found.push({ path: ["rttMs"], message: `the round trip ${a} – ${b} is given ${given} times, not once` });
    }
  }
  return found;
}

function repeatedValues({ regions }: File): Fault[] {
  const found: Fault[] = [];
  const seen = new Map<string, string>();
  const check = (path: string[], value: string) => {
    const first = seen.get(value);
    if (first === undefined) seen.set(value, path.join("."));
    else found.push({ path, message: `${value} is taken by ${first} already` });
  };
  for (const [name, { dataCenter, embedded }] of Object.entries(regions)) {
    check(["regions", name, "dataCenter"], dataCenter);
    for (const [use, where] of Object.entries(embedded)) {
      if (!where.endsWith(":0")) check(["regions", name, "embedded", use], where);
    }
  }
  return found;
}

function overlaps({ regions }: File): Fault[] {
  const networks = Object.entries(regions).map(([name, { cidr }]) => ({ name, cidr, ...range(cidr) }));
  return networks.flatMap((one, index) =>
    networks
      .slice(index + 1)
      .filter((other) => one.first <= other.last && other.first <= one.last)
      .map((other) => ({
        path: ["regions", other.name, "cidr"],
        message: `${other.cidr} overlaps with ${one.name}'s ${one.cidr}`,
      })),
  );
}

/** The first and last address of a network, as numbers. */
function range(cidr: string): { readonly first: number; readonly last: number } {
  const [network = "", bits = ""] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  const start = network.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const first = start - (start % size);
  return { first, last: first + size - 1 };
}
