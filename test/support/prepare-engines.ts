/**
 * Before the first test on a real engine: builds or downloads what is not there yet. What this machine lacks is told in one
 * line for each engine, and its tests are skipped; where the engine is required, nothing is run.
 */
import * as cassandra from "../../scripts/engines/cassandra.mjs";
import * as etcd from "../../scripts/engines/etcd.mjs";
import { type Engine, isRequired } from "./engines.ts";

export async function setup(): Promise<void> {
  await Promise.all([prepare("etcd", etcd.prepare), prepare("cassandra", cassandra.prepare)]);
}

async function prepare(engine: Engine, make: (options: { say: (line: string) => void }) => Promise<unknown>): Promise<void> {
  try {
    await make({ say: (line) => console.warn(line) });
  } catch (thrown) {
    const { message } = thrown as Error;
    if (isRequired(engine)) throw new Error(`MERIDIAN_REQUIRE asks for ${engine}: ${message}`);
    const [why] = message.split("\n");
    console.warn(`SKIPPED: all tests on a real ${engine} (see npm run engines -- prepare ${engine}): ${why}`);
  }
}
