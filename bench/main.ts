/** npm run bench: durable publishing beside what it is built on, in one run; or how a log of some size behaves. */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { cluster } from "./cluster.ts";
import { embedded } from "./embedded.ts";
import { closeEngines } from "./engines.ts";
import { type Finding, table } from "./report.ts";
import { size } from "./size.ts";

export interface Effort {
  readonly rounds: number;
  readonly durationMs: number;
  /** Single messages whose delays are measured. */
  readonly times: number;
  readonly say: (line: string) => void;
}

const PROFILES: Readonly<Record<string, (effort: Effort) => Promise<readonly Finding[]>>> = { cluster, embedded, size };

const USAGE = `usage: npm run bench -- --profile <profile> [--rounds 5] [--seconds 3] [--json]
  cluster   the adapter, and a node with it, against the bare Cassandra driver (needs what npm run engines needs)
  embedded  a node against bare commits of LMDB
  size      Cassandra with a million messages in one conversation, 64 KiB bodies, and 100,000 conversations`;

const { values } = parseArgs({
  options: {
    profile: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const measure = PROFILES[values.profile];
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
if (measure === undefined || !(rounds >= 1) || !(seconds > 0)) {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = 2;
} else {
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void closeEngines().finally(() => process.exit(1)));
  }
  const findings = await measure({ rounds, durationMs: seconds * 1_000, times: 100 * rounds, say });
  const machine = { node: process.version, cores: cpus().length, model: cpus()[0]?.model.trim() ?? "" };
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ profile: values.profile, machine, findings }, undefined, 2)}\n`
      : `${values.profile} on ${machine.cores} cores (${machine.model}), Node ${machine.node}\n\n${table(findings)}\n`,
  );
  process.exitCode = findings.every((finding) => finding.kind === "fact" || finding.isMet) ? 0 : 1;
}
