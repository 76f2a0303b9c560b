import type { Command } from "commander";
import { Recorder } from "../../verify/recorder.ts";
import { type AdminFlags, addAdminFlag, addExamples, type Cli, integer } from "../cli.ts";
import { EXIT } from "../exit-code.ts";
import { EmulationBreaker } from "../load/breaker.ts";
import { Drill } from "../load/drill.ts";
import { drillSummary, isPassed } from "../load/drill-summary.ts";
import { Fleet } from "../load/fleet.ts";
import { emulatedBy, homesIn } from "../load/homes.ts";
import { withProgressBar } from "../load/progress-bar.ts";
import { withRecord } from "../load/record-file.ts";
import { runSuffix } from "../load/run-suffix.ts";
import { regionOf, statusesOf } from "../regions.ts";

interface DrillFlags extends AdminFlags {
  readonly region?: string;
  readonly conversations: number;
  readonly restoreAfter: number;
  readonly record?: string;
}

const CONVERSATIONS = 6;
const RESTORE_AFTER_S = 10;
/** Often enough to measure tenths of a second, and no strain. */
const EVERY_MS = 100;
const CLIENTS = 2;

export function addDrill(program: Command, cli: Cli): void {
  const command = program
    .command("drill")
    .description("lose a leading region under load, and measure what was lost (RPO) and for how long nothing went on (RTO)")
    .option("--region <name>", "the region to lose (default: the first one)")
    .option("--conversations <n>", "how many it leads meanwhile", integer(1, 1_000), CONVERSATIONS)
    .option("--restore-after <seconds>", "how long it stays lost at least", integer(1, 600), RESTORE_AFTER_S)
    .option("--record <file>", "write down all that happens, for `meridian verify`");
  addAdminFlag(command).action((flags: DrillFlags) => drill(cli, flags));
  command.addHelpText("after", "\nExit code 1: acknowledged messages are missing, or it took longer than 1.1 leases and 2 s.");
  addExamples(command, "meridian drill", "meridian drill --region eu-west --record drill.jsonl && meridian verify drill.jsonl");
}

async function drill(cli: Cli, flags: DrillFlags): Promise<void> {
  const output = cli.open(flags);
  const { agent } = cli;
  const { clock, connect, connectAdmin, signal } = cli.context;
  const emulated = await emulatedBy(cli, flags);
  const { regions, leaseTtlMs } = emulated;
  const { region } = regionOf(regions, flags.region ?? regions[0]?.region ?? "");
  const suffix = runSuffix(clock);
  const conversations = Array.from({ length: flags.conversations }, (_, at) => `drill-${suffix}-${at + 1}@${region}`);
  await cli.withAdmin(flags, async (admin) => {
    const breaker = new EmulationBreaker(admin, emulated, await statusesOf(connectAdmin, regions));
    await withRecord(flags.record, async (sink) => {
      const names = regions.map((each) => each.region);
      const recorder = new Recorder({ sink, clock, about: `drill: the loss of ${region}`, regions: names, conversations });
      const onTrouble = (text: string) => output.warn(text);
      const homes = homesIn(emulated);
      const fleet = await Fleet.open({ connect, agent, clock, recorder, homes, clientsPerRegion: CLIENTS, onTrouble });
      const tools = { clock, breaker, fleet, recorder, signal };
      const restoreAfterMs = flags.restoreAfter * 1_000;
      const run = new Drill({ ...tools, region, conversations, leaseTtlMs, everyMs: EVERY_MS, restoreAfterMs });
      try {
        const report = await withProgressBar({ output, clock }, () => run.progress, run.run());
        for (const { human, facts } of drillSummary(report)) await output.result(human, facts);
        if (!isPassed(report)) cli.endWith(EXIT.violation);
        if (report.counts.unknown > 0) cli.endWith(EXIT.unknown);
      } finally {
        await fleet.close();
      }
      await recorder.end();
    });
  });
}
