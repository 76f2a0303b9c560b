import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { MeridianError } from "../kernel/errors.ts";
import { jsonObject } from "./config-flags.ts";

/** What others need to know of a node; its other settings are its own affair. */
const schema = z.object({
  node: z.string().min(1),
  region: z.string().min(1),
  listen: z.string().min(1),
  adminListen: z.string().min(1),
  /** All regions; the others nearest first. */
  regions: z.record(z.string(), z.unknown()),
});

export type ClusterNode = z.infer<typeof schema>;

/** The nodes of a cluster, as their configuration files say. */
export class ClusterFiles {
  readonly nodes: readonly ClusterNode[];

  private constructor(nodes: readonly ClusterNode[]) {
    this.nodes = nodes;
  }

  /** Of files, and of folders of files. Throws INVALID_ARGUMENT that names the file. */
  static read(paths: readonly string[]): ClusterFiles {
    const files = paths.flatMap(filesAt);
    if (files.length > 0) return new ClusterFiles(files.map(nodeIn));
    throw wrong(paths.join(", "), "there is no JSON file");
  }

  /** In the order of their first nodes. */
  get regions(): readonly string[] {
    return [...new Set(this.nodes.map(({ region }) => region))];
  }

  /** The nodes that a client in the region uses: its own region's, then those of the others, the nearest first. Throws NOT_FOUND. */
  endpointsFrom(region: string): readonly string[] {
    const own = this.nodes.find((node) => node.region === region);
    if (own === undefined) {
      throw new MeridianError("NOT_FOUND", `there is no node in a region ${JSON.stringify(region)}`, {
        advice: `The regions with nodes are ${this.regions.join(", ")}.`,
      });
    }
    const order = [region, ...Object.keys(own.regions).filter((other) => other !== region)];
    return order.flatMap((name) => this.nodes.filter((node) => node.region === name)).map(({ listen }) => listen);
  }
}

function filesAt(path: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => name.endsWith(".json"));
    return names.sort().map((name) => join(path, name));
  } catch (cause) {
    throw wrong(path, (cause as Error).message);
  }
}

function nodeIn(file: string): ClusterNode {
  const parsed = schema.safeParse(jsonObject(file));
  if (parsed.success) return parsed.data;
  throw wrong(file, z.prettifyError(parsed.error));
}

function wrong(path: string, why: string): MeridianError {
  return new MeridianError("INVALID_ARGUMENT", `${path} does not say of a cluster's node: ${why}`, {
    advice: "Name the configuration files that the nodes were started with, such as regions/local.",
  });
}
