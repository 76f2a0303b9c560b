// npm run chaos: see docs/chaos.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Wan } from "../scripts/engines/wan.mjs";
import { since } from "../scripts/lib.mjs";
import { SeededRandom } from "../sim/random.ts";
import { BothEngines } from "../test/support/both-engines.ts";
import type { Fault } from "./effects.ts";
import { FAULTS } from "./faults.ts";
import { figures } from "./figures.ts";
import { replayLogs } from "./replay.ts";
import { facts, markdown, summaryOf } from "./report.ts";
import { type ChaosReport, chaos } from "./run.ts";
import { WAN_FAULTS, WAN_LEASE } from "./wan-faults.ts";
import { LEASE, World } from "./world.ts";

/** 8 lines at a time in 10 conversations by 3 regions: 600 messages a second, to 30 readers… */
const EVERY_MS = 400;
/** …and 240 over a wide area, whose every packet costs the same processor. */
const WAN_EVERY_MS = 1_000;
/** Servers that have just started compile what they run, and take half of the processor for it. */
const WARM_UP_MS = 30_000;
const HOME = fileURLToPath(new URL("../.engines/chaos", import.meta.url));

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "0" },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    out: { type: "string", default: join(HOME, "report") },
    wan: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    replay: { type: "boolean", default: false },
  },
});

const startedMs = Date.now();
const say = (line: string) => process.stdout.write(`${since(startedMs).padStart(8)}  ${line}\n`);
let wan: Wan | undefined;
let world: World | undefined;

if (values.list) for (const { name, does } of faultsHere()) process.stdout.write(`${name.padEnd(25)}${does}\n`);
else process.exitCode = await main();

function faultsHere(): readonly Fault[] {
  return values.wan ? WAN_FAULTS : FAULTS;
}

async function main(): Promise<number> {
  const wanted = values.only?.split(",");
  const unknown = wanted?.filter((name) => !faultsHere().some((fault) => fault.name === name)) ?? [];
  if (unknown.length > 0) {
    process.stderr.write(`there is no fault ${unknown.join(", ")}; npm run chaos -- --list names them\n`);
    return 2;
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void abandon().finally(() => process.exit(1)));
  try {
    if (values.wan) wan = await Wan.up({ folder: HOME, say });
    const lease = wan === undefined ? LEASE : WAN_LEASE;
    const hasSecond = wan === undefined && !values.replay;
    world = await World.start({ folder: HOME, fsync: true, lease, hasSecond, wan, say });
    say(`${world.nodes.length} nodes serve`);
    if (values.replay) return (await replayLogs({ world, folder: HOME, say })) ? 0 : 1;
    const measured = wan === undefined ? {} : { figures: await figures(world, wan, say) };
    const random = new SeededRandom(Number(values.seed));
    const befallen = await chaos({
      world,
      folder: HOME,
      // Over a wide area there is one region that leads nothing.
      homes: wan === undefined ? world.regions : world.regions.slice(0, -1),
      faults: faultsHere().filter(({ name }) => wanted?.includes(name) ?? true),
      everyMs: wan === undefined ? EVERY_MS : WAN_EVERY_MS,
      warmUpMs: WARM_UP_MS,
      pairsUntilMs: Number(values.minutes) * 60_000,
      random: () => random.u32() / 2 ** 32,
      say,
    });
    const report = { ...befallen, ...measured };
    tell(report);
    return summaryOf(report).problems.length === 0 ? 0 : 1;
  } catch (error) {
    // Told before the cluster is stopped: what broke the run may keep it from stopping as well.
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  } finally {
    await world?.stop();
    await wan?.down();
  }
}

/** For an end before the end, also while engines start: they would go on without the program that started them. */
async function abandon(): Promise<void> {
  await Promise.allSettled(world?.nodes.map((node) => node.kill()) ?? []);
  await wan?.down();
  await BothEngines.wipe(HOME);
}

function tell(report: ChaosReport): void {
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, "chaos.md"), markdown(report));
  writeFileSync(join(values.out, "chaos.json"), `${JSON.stringify(facts(report), null, 2)}\n`);
  process.stdout.write(markdown(report));
}
