import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { EmulatedRegions } from "../../index.ts";
import { Recorder } from "../../verify/recorder.ts";
import { addExamples, addJsonFlag, type Cli, type OutputFlags } from "../cli.ts";
import { EXIT } from "../exit-code.ts";
import { EmulationBreaker } from "../load/breaker.ts";
import { Demo, type DemoReport } from "../load/demo.ts";
import { CALM_LINES, CUT_OFF_LINES, demoLines } from "../load/demo-lines.ts";
import { demoFigures, isGood } from "../load/demo-summary.ts";
import { Fleet } from "../load/fleet.ts";
import { homesIn } from "../load/homes.ts";
import { withRecord } from "../load/record-file.ts";
import { statusesOf } from "../regions.ts";
import { RegionsProcess } from "../regions-process.ts";
import { fileLines } from "../text-lines.ts";
import { TOPOLOGY } from "./start.ts";
import { verify } from "./verify.ts";

export function addDemo(program: Command, cli: Cli): void {
  const command = program
    .command("demo")
    .description("watch a conversation between three regions outlive the one that leads it; half a minute, nothing stays");
  addJsonFlag(command).action((flags: OutputFlags) => demo(cli, flags));
  addExamples(command, "meridian demo");
}

async function demo(cli: Cli, flags: OutputFlags): Promise<void> {
  cli.open(flags);
  const directory = await mkdtemp(join(tmpdir(), "meridian-demo-"));
  try {
    await cli.output.result("Three regions start, on free ports, with their data in a folder that is deleted again.", {
      event: "starting",
    });
    const topology = join(directory, "topology.json");
    // Beside regions that may be running already.
    await writeFile(topology, (await readFile(TOPOLOGY, "utf8")).replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:0"));
    const regions = await RegionsProcess.start({ data: join(directory, "data"), topology });
    try {
      await show(cli, regions.admin, join(directory, "record.jsonl"));
    } finally {
      await regions.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function show(cli: Cli, admin: string, record: string): Promise<void> {
  const { output, agent } = cli;
  const { clock, connect, connectAdmin, signal } = cli.context;
  await cli.withAdmin({ admin }, async (operator) => {
    const emulated = await operator.regions();
    const names = emulated.regions.map(({ region }) => region);
    const [region = ""] = names;
    const conversation = `standup@${region}`;
    const breaker = new EmulationBreaker(operator, emulated, await statusesOf(connectAdmin, emulated.regions));
    await output.result(`People in ${names.join(", ")} talk; this is what is heard in ${names.at(-1)}:`, { event: "talking" });
    await withRecord(record, async (sink) => {
      const recorder = new Recorder({ sink, clock, about: "the demo", regions: names, conversations: [conversation] });
      const homes = homesIn(emulated);
      const fleet = await Fleet.open({ connect, agent, clock, recorder, homes, clientsPerRegion: 1, onTrouble: () => {} });
      const say = (text: string) => output.result(text, { event: "heard", text });
      const lines = demoLines(names);
      const tools = { clock, breaker, fleet, recorder, signal };
      const run = new Demo({ ...tools, conversation, region, lines, calmLines: CALM_LINES, cutOffLines: CUT_OFF_LINES, say });
      try {
        await tell(cli, emulated, await run.run());
      } finally {
        await fleet.close();
      }
      await recorder.end();
    });
  });
  await verify(cli, fileLines(record));
}

async function tell(cli: Cli, emulated: EmulatedRegions, report: DemoReport): Promise<void> {
  for (const { human, facts } of demoFigures(report, emulated)) await cli.output.result(human, facts);
  if (!isGood(report)) cli.endWith(EXIT.violation);
}
