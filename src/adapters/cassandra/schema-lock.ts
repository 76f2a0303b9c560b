/**
 * One `init` at a time, over all data centers: two that create a table together give it two ids, and some nodes then
 * refuse the rows of others. The lock is a row that is written only if it is not there (Paxos), and lapses by itself when
 * its holder died.
 *
 * The row's own table cannot be made under the lock. So it is the one table that gets its id from here: whoever creates it
 * creates the same one.
 */
import { createHash } from "node:crypto";
import { types } from "cassandra-driver";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep } from "../../kernel/timing.ts";
import type { CassandraSession } from "./session.ts";
import { META, qualified } from "./tables.ts";

const { quorum, serial } = types.consistencies;

const KEY = "lock";
const RETRY_MS = 1_000;
/** Long enough for an `init` that works to end, short enough for somebody who waits. */
const WAIT_MS = 60_000;
/** Paxos in a young cluster takes a while. */
const CONDITIONAL = { consistency: quorum, conditional: true, tryMs: LIMITS.cassandraLargeTryMs };

export function createMeta(keyspace: string): string {
  const hex = createHash("md5").update(`meridian ${keyspace}.${META}`).digest("hex");
  const id = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join("-");
  return qualified(`CREATE TABLE IF NOT EXISTS k.${META} (key text PRIMARY KEY, value text) WITH id = ${id}`, keyspace);
}

/** Does the work while the lock is held. Throws UNAVAILABLE when another holder does not end. */
export async function underLock<T>(session: CassandraSession, work: () => Promise<T>): Promise<T> {
  const owner = Buffer.from(session.random.bytes(16)).toString("hex");
  await acquire(session, owner);
  try {
    return await work();
  } finally {
    // If it fails the lock lapses by itself.
    const release = qualified(`DELETE FROM k.${META} WHERE key = ? IF value = ?`, session.keyspace);
    await session.execute("releasing the schema's lock", release, [KEY, owner], CONDITIONAL).catch((error: MeridianError) => {
      session.telemetry.log("warn", "cassandra.lock-left", { error: error.message, lapsesMs: LIMITS.cassandraInitMs });
    });
  }
}

async function acquire(session: CassandraSession, owner: string): Promise<void> {
  const ttlS = Math.ceil(LIMITS.cassandraInitMs / 1_000);
  const take = qualified(`INSERT INTO k.${META} (key, value) VALUES (?, ?) IF NOT EXISTS USING TTL ${ttlS}`, session.keyspace);
  const endsAtMs = session.timers.monotonicMs() + WAIT_MS;
  for (;;) {
    const failure = await session.execute("taking the schema's lock", take, [KEY, owner], CONDITIONAL).then(
      () => undefined,
      (error: MeridianError) => error,
    );
    // Taken, refused or unknown: who holds it is what stands there.
    const holder = failure === undefined || session.timers.monotonicMs() < endsAtMs ? await holderOf(session) : undefined;
    if (holder === owner) return;
    if (session.timers.monotonicMs() >= endsAtMs) {
      throw new MeridianError("UNAVAILABLE", "the schema's lock could not be taken", {
        advice: `Another init runs, or died: then its lock lapses within ${ttlS} s. Run this again.`,
        cause: failure,
      });
    }
    await sleep(session.timers, RETRY_MS);
  }
}

/** Read at SERIAL, which completes what a try has begun. */
async function holderOf(session: CassandraSession): Promise<string | undefined> {
  const read = qualified(`SELECT value FROM k.${META} WHERE key = ?`, session.keyspace);
  try {
    const { rows } = await session.execute("reading the schema's lock", read, [KEY], { ...CONDITIONAL, consistency: serial });
    return rows[0]?.value;
  } catch {
    // Unknown is nobody: the loop asks again until its time is up.
    return undefined;
  }
}
