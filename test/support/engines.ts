import { isPrepared as isCassandraPrepared } from "../../scripts/engines/cassandra/software.mjs";
import { isPrepared as isEtcdPrepared } from "../../scripts/engines/etcd.mjs";

export type Engine = "etcd" | "cassandra";

const IS_PREPARED: Readonly<Record<Engine, () => boolean>> = { etcd: isEtcdPrepared, cassandra: isCassandraPrepared };

/** `MERIDIAN_REQUIRE` names what must not be skipped: where it is missing, the tests fail. */
export function isRequired(engine: Engine): boolean {
  return (process.env.MERIDIAN_REQUIRE ?? "").split(",").includes(engine);
}

/** Whether tests on these engines run here; prepare-engines.ts has said why if they do not. */
export function areThere(...engines: readonly Engine[]): boolean {
  return engines.every((engine) => isRequired(engine) || IS_PREPARED[engine]());
}
