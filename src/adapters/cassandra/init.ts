/** What `meridian init` does in Cassandra: the only place that changes the schema (R12). */
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep } from "../../kernel/timing.ts";
import { readNotes, writeNotes } from "./meta.ts";
import { replicationFaults } from "./replication.ts";
import { createMeta, underLock } from "./schema-lock.ts";
import type { CassandraSession } from "./session.ts";
import { tableIdsOf } from "./table-ids.ts";
import { MIGRATIONS, qualified, SCHEMA_VERSION, TABLES } from "./tables.ts";

export interface InitOptions {
  readonly session: CassandraSession;
  /** Replicas by data center: at least three data centers, the same number in each. Used when the keyspace is made. */
  readonly replicas: ReadonlyMap<string, number>;
}

const RETRY_MS = 500;
const KEYSPACE_WITHIN_MS = 30_000;

/**
 * Makes the keyspace and the tables, or brings them to this version; does nothing when they are. Answers the versions before
 * and after. May be repeated after any failure. Throws INVALID_ARGUMENT and UNAVAILABLE.
 */
export async function init(options: InitOptions): Promise<{ readonly from: number; readonly to: number }> {
  const { session, replicas } = options;
  const faults = replicationFaults(replicas, session.localDataCenter);
  if (faults.length > 0) {
    throw new MeridianError("INVALID_ARGUMENT", `the replication is wrong: ${faults.join("; ")}`, {
      advice: "Name at least three data centers, with the same number of replicas in each.",
    });
  }
  await createKeyspace(session, replicas);
  await define(session, createMeta(session.keyspace));
  return underLock(session, () => migrate(session));
}

/** It has no id that two could disagree about. A node that has only just met the others does not know their data centers yet. */
async function createKeyspace(session: CassandraSession, replicas: ReadonlyMap<string, number>): Promise<void> {
  const pairs = [...replicas].map(([dataCenter, count]) => `'${dataCenter}': ${count}`);
  const replication = `{'class': 'NetworkTopologyStrategy', ${pairs.join(", ")}}`;
  const cql = `CREATE KEYSPACE IF NOT EXISTS ${session.keyspace} WITH replication = ${replication} AND durable_writes = true`;
  const endsAtMs = session.timers.monotonicMs() + KEYSPACE_WITHIN_MS;
  for (;;) {
    try {
      await define(session, cql);
      return;
    } catch (error) {
      if (session.timers.monotonicMs() >= endsAtMs) throw error;
      await sleep(session.timers, RETRY_MS);
    }
  }
}

async function migrate(session: CassandraSession): Promise<{ readonly from: number; readonly to: number }> {
  const { version: from } = await readNotes(session);
  if (from > SCHEMA_VERSION) {
    throw new MeridianError("INVALID_ARGUMENT", `the schema has version ${from}, and this Meridian knows ${SCHEMA_VERSION}`, {
      advice: "A newer Meridian made it: run that one.",
    });
  }
  const endsAtMs = session.timers.monotonicMs() + LIMITS.cassandraInitMs / 2;
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < from) continue;
    for (const cql of statements) {
      if (session.timers.monotonicMs() >= endsAtMs) {
        throw new MeridianError("UNAVAILABLE", "changing the schema takes longer than the lock is held", {
          advice: "Look at Cassandra's load and logs, then run this again: it goes on where it stopped.",
        });
      }
      await define(session, qualified(cql, session.keyspace));
    }
    await writeNotes(session, { version: index + 1, tableIds: await agreedIds(session) });
  }
  return { from, to: SCHEMA_VERSION };
}

async function define(session: CassandraSession, cql: string): Promise<void> {
  if (await session.define(cql)) return;
  throw new MeridianError("UNAVAILABLE", "the nodes of Cassandra do not agree on the schema", {
    advice: "Look at the schema versions in `nodetool describecluster`; when they agree, run this again.",
  });
}

/** The tables' ids, which must be the same at every node that is up. */
async function agreedIds(session: CassandraSession): Promise<ReadonlyMap<string, string>> {
  const all = new Map<string, string>();
  for (const host of session.hosts.filter((one) => one.isUp())) {
    const ids = await tableIdsOf(session, host);
    for (const table of TABLES) {
      const [id, other] = [ids.get(table), all.get(table)];
      if (id === undefined || (other !== undefined && other !== id)) {
        throw new MeridianError("UNAVAILABLE", `${host.address} has ${id ?? "no id"} for the table ${table}, others ${other}`, {
          advice: "Wait until the nodes agree on the schema, and run this again; else drop the keyspace before it is used.",
        });
      }
      all.set(table, id);
    }
  }
  return all;
}
