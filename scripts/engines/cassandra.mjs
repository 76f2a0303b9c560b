// The log store: three one-node data centers of Cassandra on 127.0.0.1, .2 and .3, named as in regions/topology.json.
import { join } from "node:path";
import { Cluster } from "./cassandra/cluster.mjs";
import { jars } from "./cassandra/software.mjs";
import { home } from "./process.mjs";

const cluster = new Cluster({ folder: join(home, "cassandra") });

export const NODES = cluster.names;

/** Downloads Cassandra unless that was done; starts nothing. Throws what is missing. */
export const prepare = ({ say }) => jars(say);

export const up = ({ nodes, say }) => cluster.up({ names: nodes, say });

export const down = ({ nodes, say }) => cluster.down({ names: nodes, say });

export const status = ({ nodes, say }) => cluster.status({ names: nodes, say });

export const kill = ({ nodes, say }) => cluster.kill({ names: nodes, say });

export const pause = ({ nodes, say }) => cluster.pause({ names: nodes, say });

export const resume = ({ nodes, say }) => cluster.resume({ names: nodes, say });

export const wipe = ({ nodes, say }) => cluster.wipe({ names: nodes, say });
