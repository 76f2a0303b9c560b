import type { Host } from "cassandra-driver";
import type { CassandraSession } from "./session.ts";

/** What one node calls each table. Nodes that disagree refuse each other's rows; a table that was made anew has a new id. */
export async function tableIdsOf(session: CassandraSession, host: Host): Promise<ReadonlyMap<string, string>> {
  const cql = `SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = '${session.keyspace}'`;
  const { rows } = await session.ask(host, cql);
  return new Map(rows.map((row) => [row.table_name, String(row.id)]));
}
