import { types } from "cassandra-driver";
import type { CassandraSession } from "./session.ts";
import { META, qualified, TABLES } from "./tables.ts";

const { quorum } = types.consistencies;

/** What `init` noted: which steps were made, and which tables they made. */
export interface Notes {
  /** 0 before the first step. */
  readonly version: number;
  /** By table the id that Cassandra gave it. */
  readonly tableIds: ReadonlyMap<string, string>;
}

/** Throws UNAVAILABLE. */
export async function readNotes(session: CassandraSession): Promise<Notes> {
  const keys = ["version", ...TABLES.map(tableKey)];
  const cql = qualified(`SELECT key, value FROM k.${META} WHERE key IN (${keys.map(() => "?")})`, session.keyspace);
  const { rows } = await session.execute("reading the schema's version", cql, keys, { consistency: quorum });
  const found = new Map<string, string>(rows.map((row) => [row.key, row.value]));
  const tableIds = TABLES.flatMap((table): [string, string][] => {
    const id = found.get(tableKey(table));
    return id === undefined ? [] : [[table, id]];
  });
  return { version: Number(found.get("version") ?? 0), tableIds: new Map(tableIds) };
}

/** Under the lock only. The version last: with it the step is made. Throws UNAVAILABLE. */
export async function writeNotes(session: CassandraSession, { version, tableIds }: Notes): Promise<void> {
  const cql = qualified(`INSERT INTO k.${META} (key, value) VALUES (?, ?)`, session.keyspace);
  const notes = [...[...tableIds].map(([table, id]) => [tableKey(table), id]), ["version", String(version)]];
  for (const note of notes) await session.execute("noting the schema's version", cql, note, { consistency: quorum });
}

function tableKey(table: string): string {
  return `table ${table}`;
}
