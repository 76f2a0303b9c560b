/** What a node looks at before it trusts its acks to Cassandra (R12). All faults are told at once, with what to do. */
import { type Host, types } from "cassandra-driver";
import { MeridianError } from "../../kernel/errors.ts";
import { readNotes } from "./meta.ts";
import { replicasOf, replicationFaults } from "./replication.ts";
import type { CassandraSession } from "./session.ts";
import { CHECKED_SETTINGS, settingFaults } from "./settings.ts";
import { tableIdsOf } from "./table-ids.ts";
import { SCHEMA_VERSION } from "./tables.ts";

/**
 * Looks at the keyspace, and at every node that answers; the others are named in the log. Throws INVALID_ARGUMENT when
 * something is not as it must be, UNAVAILABLE when that cannot be seen.
 */
export async function check(session: CassandraSession): Promise<void> {
  const faults = await keyspaceFaults(session);
  if (faults.length > 0) throw wrong(faults);
  const { version, tableIds } = await readNotes(session);
  if (version !== SCHEMA_VERSION) throw wrong([versionFault(version)]);
  const found = await Promise.all(session.hosts.map((host) => hostFaults(session, host, tableIds)));
  if (found.flat().length > 0) throw wrong(found.flat());
}

function wrong(faults: readonly string[]): MeridianError {
  return new MeridianError("INVALID_ARGUMENT", `Cassandra is not as Meridian needs it: ${faults.join("; ")}`, {
    advice: "Mend each of these; docs/operating.md says how and why, under Cassandra.",
  });
}

async function keyspaceFaults(session: CassandraSession): Promise<string[]> {
  const { keyspace } = session;
  const cql = `SELECT replication, durable_writes FROM system_schema.keyspaces WHERE keyspace_name = '${keyspace}'`;
  const one = { consistency: types.consistencies.one };
  const [row] = (await session.execute("reading the keyspace's replication", cql, [], one)).rows;
  if (row === undefined) return [`there is no keyspace ${keyspace}: run \`meridian init\``];
  const faults = replicationFaults(replicasOf(row.replication), session.localDataCenter);
  const durable = row.durable_writes === true ? [] : ["durable_writes is false: the commit log is left out"];
  return [...faults, ...durable].map((fault) => `keyspace ${keyspace}: ${fault}`);
}

function versionFault(version: number): string {
  const what = `the schema has version ${version}, this Meridian needs ${SCHEMA_VERSION}`;
  return version < SCHEMA_VERSION ? `${what}: run \`meridian init\`` : `${what}: a newer Meridian made it, run that one`;
}

/** A node that is down must not keep Meridian from starting: its data center may be the one that is lost. */
async function hostFaults(session: CassandraSession, host: Host, noted: ReadonlyMap<string, string>): Promise<readonly string[]> {
  try {
    const faults = [...(await nodeFaults(session, host)), ...(await idFaults(session, host, noted))];
    return faults.map((fault) => `${host.address}: ${fault}`);
  } catch (thrown) {
    const { message } = MeridianError.from(thrown);
    const { address, datacenter } = host;
    session.telemetry.log("warn", "cassandra.node-not-checked", { address, dataCenter: datacenter, error: message });
    return [];
  }
}

async function nodeFaults(session: CassandraSession, host: Host): Promise<readonly string[]> {
  const names = CHECKED_SETTINGS.map((name) => `'${name}'`).join(", ");
  const { rows } = await session.ask(host, `SELECT name, value FROM system_views.settings WHERE name IN (${names})`);
  return settingFaults(new Map(rows.map((row) => [row.name, String(row.value)])));
}

/** A table that was dropped and made again, or made twice: its rows are not the ones that were acknowledged. */
async function idFaults(session: CassandraSession, host: Host, noted: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const present = await tableIdsOf(session, host);
  return [...noted]
    .filter(([table, id]) => present.get(table) !== id)
    .map(([table, id]) => `the table ${table} is ${present.get(table) ?? "not there"}, and init made ${id}`);
}
