import { isPrepared as isCassandraPrepared } from "../../scripts/engines/cassandra/software.mjs";
import { isPrepared as isEtcdPrepared } from "../../scripts/engines/etcd.mjs";

type Engine = "etcd" | "cassandra";

const IS_PREPARED: Readonly<Record<Engine, () => boolean>> = { etcd: isEtcdPrepared, cassandra: isCassandraPrepared };

/** `MERIDIAN_REQUIRE` names what must not be skipped: where it is missing, the tests fail. */
const REQUIRED = (process.env.MERIDIAN_REQUIRE ?? "").split(",");

/** Whether tests on these engines run here. `npm test` has built or downloaded them, or has said why it cannot. */
export function areThere(...engines: readonly Engine[]): boolean {
  return engines.every((engine) => REQUIRED.includes(engine) || IS_PREPARED[engine]());
}
