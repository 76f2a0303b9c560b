import { LIMITS } from "../../kernel/limits.ts";

/** Every table that the migrations make. */
export const TABLES = ["batches", "checkpoints", "cursors", "epochs"] as const;

/** The table that `init` and the checks keep their own notes in; beside the lock, its rows are written under the lock only. */
export const META = "meta";

/**
 * The tables, in the keyspace `k`, as versioned steps. A step that was released never changes: the next one goes behind it.
 * All statements may be repeated, for an `init` that was interrupted begins its step again.
 */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    // R1: a row is a batch. The epoch is part of the key, so no leader ever writes over another one's row.
    `CREATE TABLE IF NOT EXISTS k.batches (
      conversation text, bucket bigint, first_seq bigint, epoch bigint, bytes blob,
      PRIMARY KEY ((conversation, bucket), first_seq, epoch))`,
    // R10: one payload cell a row, whose write time is the seq. The highest epoch comes first.
    `CREATE TABLE IF NOT EXISTS k.checkpoints (
      conversation text, epoch bigint, bytes blob,
      PRIMARY KEY (conversation, epoch)) WITH CLUSTERING ORDER BY (epoch DESC)`,
    // R11: one value cell, whose write time is its value.
    `CREATE TABLE IF NOT EXISTS k.cursors (
      conversation text, consumer text, generation bigint, seq bigint,
      PRIMARY KEY ((conversation, consumer), generation)) WITH CLUSTERING ORDER BY (generation DESC)`,
    // One partition: whoever takes over asks for the marks of all its shards, and raises them, in a few statements.
    `CREATE TABLE IF NOT EXISTS k.epochs (
      scope text, shard int, epoch bigint,
      PRIMARY KEY (scope, shard))`,
  ],
  [
    // A replica that died counts as alive for 14 s and longer. By default a server asks another one in its place after the time
    // that 99 of 100 reads of the table took, and after 2.5 s if it has made none, as those have not that take over a lost data
    // center's part. Over ways longer than this each read at QUORUM asks three data centers instead of two; there are few.
    ...[...TABLES, META].map((table) => `ALTER TABLE k.${table} WITH speculative_retry = '20ms'`),
    // A takeover reads what the last leader wrote, and must not wait until a replica that lacks it has written it: a second for
    // 256 rows. Nothing rests on read repair: what is not known to stand at a majority is written again by us (R7).
    "ALTER TABLE k.batches WITH read_repair = 'NONE'",
  ],
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** The keyspace's own name in place of `k`. */
export function qualified(cql: string, keyspace: string): string {
  return cql.replaceAll(" k.", ` ${keyspace}.`);
}

/** R1. */
export function bucketOf(seq: number): bigint {
  return BigInt(Math.floor((seq - 1) / LIMITS.bucketMessages));
}
