import { auth, Client, ExecutionProfile, policies } from "cassandra-driver";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { NearestFirst } from "./load-balancing.ts";
import { NextNode } from "./retry.ts";
import type { Reach, Suspects } from "./suspects.ts";

export interface CassandraOptions {
  /** `host` or `host:port` of some nodes, best in several data centers: one that answers is enough. */
  readonly contactPoints: readonly string[];
  /** Where all nodes listen: they are found by their addresses, and must share the port. Default 9042. */
  readonly port?: number;
  readonly keyspace: string;
  readonly localDataCenter: string;
  /** The nearest first. */
  readonly otherDataCenters?: readonly string[];
  readonly credentials?: { readonly username: string; readonly password: string };
  readonly tls?: CassandraTls;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** PEM texts. With `cert` and `key` the node shows a certificate of its own. */
export interface CassandraTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name in the servers' certificates, when these do not name the addresses that the nodes are dialled by. */
  readonly serverName?: string;
}

/** The driver's profiles, one for each policy. */
export const PROFILES: Readonly<Record<Reach, string>> = { global: "default", local: "local" };

const KEYSPACE = /^[a-z][a-z0-9_]{0,47}$/;

/** The driver, set up; it connects later. Throws INVALID_ARGUMENT. */
export function newClient(options: CassandraOptions, suspects: Suspects): Client {
  const { contactPoints, port = 9_042, keyspace, localDataCenter, otherDataCenters = [], credentials, tls } = options;
  checkKeyspace(keyspace);
  const policy = (reach: Reach) => new NearestFirst({ keyspace, localDataCenter, otherDataCenters, suspects, reach });
  return new Client({
    contactPoints: [...contactPoints],
    localDataCenter,
    protocolOptions: { port },
    // Qualified names everywhere, no keyspace here: `meridian init` connects before there is one.
    policies: {
      loadBalancing: policy("global"),
      retry: new NextNode(suspects, options.telemetry),
      reconnection: new policies.reconnection.ConstantReconnectionPolicy(500),
    },
    profiles: [new ExecutionProfile(PROFILES.local, { loadBalancing: policy("local") })],
    // By default int64 is an object of the driver's own, bigint is refused, and numbers above 2⁵³ are rounded silently.
    encoding: { useBigIntAsLong: true },
    pooling: { heartBeatInterval: 1_000 },
    socketOptions: {
      connectTimeout: 2_000,
      readTimeout: LIMITS.cassandraTryMs,
      // A connection with many tries that passed would be closed, although it may be the majority elsewhere that is slow.
      defunctReadTimeoutThreshold: Number.MAX_SAFE_INTEGER,
    },
    // By default the first use of a statement waits until all nodes have prepared it, one that stands still included. So a node
    // is told when it is first asked.
    prepareOnAllHosts: false,
    monitorReporting: { enabled: false },
    ...(credentials === undefined
      ? {}
      : { authProvider: new auth.PlainTextAuthProvider(credentials.username, credentials.password) }),
    ...(tls === undefined ? {} : { sslOptions: tlsOptions(tls) }),
  });
}

function checkKeyspace(keyspace: string): void {
  if (KEYSPACE.test(keyspace)) return;
  throw new MeridianError("INVALID_ARGUMENT", `${JSON.stringify(keyspace)} cannot be a keyspace's name`, {
    advice: "Use 1 to 48 small letters, digits and underscores, a letter first.",
  });
}

/** The driver's default is to accept any certificate. */
function tlsOptions({ ca, cert, key, serverName }: CassandraTls) {
  return {
    ca,
    rejectUnauthorized: true,
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}
