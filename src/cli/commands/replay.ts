import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { MeridianError } from "../../kernel/errors.ts";
import { Recorder } from "../../verify/recorder.ts";
import { addAdminFlag, addEndpointFlag, addExamples, addNodesFlag, type Cli, type ClientFlags, integer } from "../cli.ts";
import { EXIT } from "../exit-code.ts";
import { EmulationBreaker } from "../load/breaker.ts";
import { type ChatScript, chatScript, checkScripts } from "../load/chat-script.ts";
import { Fleet } from "../load/fleet.ts";
import { type Homes, homesOf } from "../load/homes.ts";
import { withProgressBar } from "../load/progress-bar.ts";
import { withRecord } from "../load/record-file.ts";
import { type KillPlan, Replay } from "../load/replay.ts";
import { replaySummary } from "../load/replay-summary.ts";
import { runSuffix } from "../load/run-suffix.ts";
import { counted } from "../output.ts";
import { statusesOf } from "../regions.ts";
import { fileLines, unreadable } from "../text-lines.ts";
import { verify } from "./verify.ts";

interface ReplayFlags extends ClientFlags {
  readonly conversationSuffix?: string;
  readonly window: number;
  readonly clients: number;
  readonly record?: string;
  readonly verify?: boolean;
  readonly killLeaderAt?: readonly number[];
  readonly restoreAfter: number;
}

const WINDOW = 64;
const CLIENTS = 4;
const RESTORE_AFTER_S = 10;

export function addReplay(program: Command, cli: Cli): void {
  const command = program
    .command("replay")
    .description("say chat logs again, by clients in all regions, with readers in all of them")
    .argument("<files...>", "chat logs: lines such as `[12:00] <nick> text`; each file becomes a conversation of its name")
    .option(
      "--conversation-suffix <text>",
      'what each conversation\'s name ends with; "" goes on in the same one (default: the time)',
    )
    .option("--window <n>", "sends of a conversation that may be under way together", integer(1, 1_024), WINDOW)
    .option("--clients <n>", "clients a region", integer(1, 64), CLIENTS)
    .option("--record <file>", "write down all that happens, for `meridian verify`")
    .option("--verify", "judge the record at the end")
    .addOption(
      new Option(
        "--kill-leader-at <percents>",
        "lose the region that leads most once so much is committed, such as 33,66; needs emulated regions",
      )
        .argParser(percents)
        .conflicts(["endpoint", "config"]),
    )
    .option("--restore-after <seconds>", "how long a region stays lost", integer(1, 600), RESTORE_AFTER_S);
  addNodesFlag(addEndpointFlag(addAdminFlag(command), "all regions that --admin tells of"));
  command.action((files: string[], flags: ReplayFlags) => replay(cli, files, flags));
  addExamples(
    command,
    "meridian replay chat/*.log",
    "meridian replay chat/*.log --record run.jsonl --verify",
    "meridian replay chat/*.log --kill-leader-at 33,66 --record run.jsonl --verify",
    "meridian replay standup.log -e 127.0.0.1:7401 --conversation-suffix again",
    "meridian replay chat/*.log --config regions/local --record run.jsonl --verify",
  );
}

async function replay(cli: Cli, files: readonly string[], flags: ReplayFlags): Promise<void> {
  const output = cli.open(flags);
  const { clock, connectAdmin } = cli.context;
  if (flags.verify === true && flags.record === undefined) {
    throw new MeridianError("INVALID_ARGUMENT", "there would be no record to verify", {
      advice: "Say with --record which file to write it to.",
    });
  }
  const scripts = scriptsOf(files, flags.conversationSuffix ?? runSuffix(clock));
  const homes = await homesOf(cli, flags);
  const { emulated } = homes;
  if (flags.killLeaderAt === undefined) return play(cli, flags, { scripts, homes, kills: undefined });
  if (emulated === undefined)
    throw new MeridianError("INVALID_ARGUMENT", "no region can be lost: MERIDIAN_ENDPOINTS names nodes");
  const atPercent = flags.killLeaderAt;
  await cli.withAdmin(flags, async (admin) => {
    const breaker = new EmulationBreaker(admin, emulated, await statusesOf(connectAdmin, emulated.regions));
    output.progress(`regions are lost at ${atPercent.join(", ")} % for ${flags.restoreAfter} s`);
    await play(cli, flags, { scripts, homes, kills: { breaker, atPercent, restoreAfterMs: flags.restoreAfter * 1_000 } });
  });
}

interface Play {
  readonly scripts: readonly ChatScript[];
  readonly homes: Homes;
  readonly kills: KillPlan | undefined;
}

async function play(cli: Cli, flags: ReplayFlags, { scripts, homes: { homes }, kills }: Play): Promise<void> {
  const { output, agent } = cli;
  const { clock, connect, signal } = cli.context;
  await withRecord(flags.record, async (sink) => {
    const recorder = new Recorder({
      sink,
      clock,
      about: `replay of ${counted(scripts.length, "file")}`,
      regions: homes.map(({ region }) => region),
      conversations: scripts.map(({ conversation }) => conversation),
    });
    const onTrouble = (text: string) => output.warn(text);
    const fleet = await Fleet.open({ connect, agent, clock, recorder, homes, clientsPerRegion: flags.clients, onTrouble });
    const common = { clock, recorder, fleet, scripts, window: flags.window, signal };
    const run = new Replay(kills === undefined ? common : { ...common, kills });
    try {
      await withProgressBar({ output, clock }, () => progressOf(run), run.run());
    } finally {
      await fleet.close();
    }
    await recorder.end();
    for (const { human, facts } of replaySummary(run, scripts)) await output.result(human, facts);
    judge(cli, run);
  });
  if (flags.record === undefined) return;
  if (flags.verify === true) await verify(cli, fileLines(flags.record));
  else output.progress(`judge it with: meridian verify ${flags.record}`);
}

function progressOf({ tally, messages, kills, tookMs }: Replay) {
  const { committed } = tally.counts;
  const perSecond = Math.round(committed / Math.max(1, tookMs / 1000));
  const lost = kills?.lost === undefined ? "" : `, ${kills.lost} is lost`;
  const text = `${committed.toLocaleString("en-US")} of ${counted(messages, "message")}, ${perSecond} a second${lost}`;
  return { done: committed, all: messages, text };
}

/** A kill without effect proves nothing, which a script must not take for a success. */
function judge(cli: Cli, { tally, kills, behind }: Replay): void {
  const { rejected, expired, unknown } = tally.counts;
  if (kills?.reports.some(({ problem }) => problem !== undefined)) cli.endWith(EXIT.violation);
  if (unknown > 0) cli.endWith(EXIT.unknown);
  if (rejected + expired + behind.length > 0) cli.endWith(EXIT.unavailable);
  if (cli.context.signal.aborted) cli.output.warn("stopped before everything was said");
}

function scriptsOf(files: readonly string[], suffix: string): readonly ChatScript[] {
  return checkScripts(
    files.map((file) => {
      try {
        return chatScript(file, readFileSync(file), suffix);
      } catch (cause) {
        throw cause instanceof MeridianError ? cause : unreadable(file, cause);
      }
    }),
  );
}

/** `33,66` as numbers. */
function percents(text: string): readonly number[] {
  const values = text.split(",").map((part) => (/^\d{1,2}$/.test(part.trim()) ? Number(part) : Number.NaN));
  if (values.every((value) => value >= 1 && value <= 99)) return values;
  throw new InvalidArgumentError("It must be whole numbers from 1 to 99, with commas.");
}
