// npm run chaos: see docs/chaos.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { since } from "../scripts/lib.mjs";
import { SeededRandom } from "../sim/random.ts";
import { FAULTS } from "./faults.ts";
import { facts, markdown, summaryOf } from "./report.ts";
import { type ChaosReport, chaos } from "./run.ts";
import { LEASE, World } from "./world.ts";

/** 8 lines at a time in 10 conversations by 3 regions: 600 messages a second, to 30 readers. */
const EVERY_MS = 400;
const HOME = fileURLToPath(new URL("../.engines/chaos", import.meta.url));

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "0" },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    out: { type: "string", default: join(HOME, "report") },
    list: { type: "boolean", default: false },
  },
});

if (values.list) for (const { name, does } of FAULTS) process.stdout.write(`${name.padEnd(20)}${does}\n`);
else process.exitCode = await main();

async function main(): Promise<number> {
  const wanted = values.only?.split(",");
  const unknown = wanted?.filter((name) => !FAULTS.some((fault) => fault.name === name)) ?? [];
  if (unknown.length > 0) {
    process.stderr.write(`there is no fault ${unknown.join(", ")}; npm run chaos -- --list names them\n`);
    return 2;
  }
  const startedMs = Date.now();
  const say = (line: string) => process.stdout.write(`${since(startedMs).padStart(8)}  ${line}\n`);
  const world = await World.start({ folder: HOME, fsync: true, lease: LEASE, say });
  try {
    say(`${world.nodes.length} nodes serve`);
    const random = new SeededRandom(Number(values.seed));
    const report = await chaos({
      world,
      folder: HOME,
      faults: FAULTS.filter(({ name }) => wanted?.includes(name) ?? true),
      everyMs: EVERY_MS,
      pairsUntilMs: Number(values.minutes) * 60_000,
      random: () => random.u32() / 2 ** 32,
      say,
    });
    tell(report);
    return summaryOf(report).problems.length === 0 ? 0 : 1;
  } catch (error) {
    // Told before the cluster is stopped: what broke the run may keep it from stopping as well.
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  } finally {
    await world.stop();
  }
}

function tell(report: ChaosReport): void {
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, "chaos.md"), markdown(report));
  writeFileSync(join(values.out, "chaos.json"), `${JSON.stringify(facts(report), null, 2)}\n`);
  process.stdout.write(markdown(report));
}
