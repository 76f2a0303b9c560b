import { join } from "node:path";
import { isPrepared as isCassandraPrepared } from "../../scripts/engines/cassandra/software.mjs";
import { isPrepared as isEtcdPrepared } from "../../scripts/engines/etcd.mjs";
import { home } from "../../scripts/engines/process.mjs";

type Engine = "etcd" | "cassandra";

const IS_PREPARED: Readonly<Record<Engine, () => boolean>> = { etcd: isEtcdPrepared, cassandra: isCassandraPrepared };

/** `MERIDIAN_REQUIRE` names what must not be skipped: where it is missing, the tests fail. */
const REQUIRED = (process.env.MERIDIAN_REQUIRE ?? "").split(",");

/** Whether tests on these engines run here. `npm test` has built or downloaded them, or has said why it cannot. */
export function areThere(...engines: readonly Engine[]): boolean {
  return engines.every((engine) => REQUIRED.includes(engine) || IS_PREPARED[engine]());
}

/** Where the engines of one test file keep everything: files run beside each other, so each has a name of its own. */
export function folderOf(name: string): string {
  return join(home, "test", name);
}
