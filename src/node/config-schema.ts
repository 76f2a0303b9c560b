/** The shape of a node's settings, with their defaults: those of a node by itself, and those of one of a cluster. */
import { z } from "zod";
import { LIMITS } from "../kernel/limits.ts";

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[a-z0-9][a-z0-9-]*$/, "small letters, digits and dashes, please");

/** `host:port`, `[::1]:port` included. */
const address = z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/, "an address is host:port");

const text = z.string().min(1);

const common = {
  /** The node's name, unique in its region. */
  node: name.default("node-1"),
  /** The region it stands in. */
  region: name.default("local"),
  /** Where clients reach it. Port 0 takes any free one. */
  listen: address.default("127.0.0.1:7401"),
  /** Where other nodes reach it. */
  peerListen: address.default("127.0.0.1:7411"),
  /** Where operators reach it. */
  adminListen: address.default("127.0.0.1:7421"),
  /** Where health checks reach it by HTTP; without it they do not. */
  healthListen: address.optional(),
  /** It takes addresses beyond loopback, in plain text and without authentication: only on a network of your own. */
  insecure: z.boolean().default(false),
  /** The largest body that it takes, in bytes. */
  bodyBytesMax: z.int().min(1).max(LIMITS.bodyBytesCeiling).default(LIMITS.bodyBytes),
  /** By how much the machine's clock may be wrong, in milliseconds. The operator vouches for it: see docs/operating.md. */
  clockErrorMs: z.number().positive().max(LIMITS.clockErrorMs).default(100),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("warn"),
};

export const embedded = z.strictObject({
  ...common,
  /** Where its data lies. */
  data: text.default(".meridian/local"),
});

/** Files in PEM. */
const tls = { caFile: text, certFile: text.optional(), keyFile: text.optional() };
const login = { username: text.optional(), password: text.optional(), passwordFile: text.optional() };

export const cluster = z.strictObject({
  ...common,
  /** Every region with its data center as Cassandra names it; the others nearest first. */
  regions: z.record(name, z.string().regex(/^[A-Za-z0-9_-]{1,48}$/, "a data center's name is letters, digits, _ and -")),
  etcd: z.strictObject({
    /** The clients' address of each member, the nearest first. */
    endpoints: z.array(address).min(1),
    /** All keys stand below it: one etcd may serve several clusters. */
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9._-]+\/$/, "a prefix is letters, digits, dots and dashes with a slash at the end")
      .default("meridian/"),
    ...login,
    tls: z.strictObject(tls).optional(),
  }),
  cassandra: z.strictObject({
    /** Some nodes, best in several data centers. */
    contactPoints: z.array(text).min(1),
    port: z.int().min(1).max(65_535).default(9_042),
    keyspace: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,47}$/, "a keyspace's name is up to 48 small letters, digits and underscores, a letter first")
      .default("meridian"),
    /** In each data center, when `meridian init` makes the keyspace. */
    replicas: z.int().min(1).max(16).default(3),
    ...login,
    /** `serverName` stands in the servers' certificates when these do not name the addresses. */
    tls: z.strictObject({ ...tls, serverName: text.optional() }).optional(),
  }),
  lease: z
    .strictObject({
      ttlMs: z
        .int()
        .min(1_000)
        .max(LIMITS.joinMs / 3)
        .default(LIMITS.leaseTtlMs),
      renewMs: z.int().min(100).default(LIMITS.leaseRenewMs),
      /** Above etcd's election timeout. */
      marginMs: z.int().min(0).default(LIMITS.leaseMarginMs),
    })
    .prefault({}),
});
