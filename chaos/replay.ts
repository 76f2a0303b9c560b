/** Whole chat logs said again over a cluster, as `meridian replay` does, while regions are lost and come back on the way. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chatScript, checkScripts } from "../src/cli/load/chat-script.ts";
import { Fleet } from "../src/cli/load/fleet.ts";
import { withRecord } from "../src/cli/load/record-file.ts";
import { Replay } from "../src/cli/load/replay.ts";
import { replaySummary } from "../src/cli/load/replay-summary.ts";
import { fileLines } from "../src/cli/text-lines.ts";
import { connect } from "../src/index.ts";
import { Recorder } from "../src/verify/recorder.ts";
import { report } from "../src/verify/report.ts";
import { verifyRecord } from "../src/verify/verdict.ts";
import { logFiles } from "./chat.ts";
import { clock } from "./clock.ts";
import { RegionBreaker } from "./region-breaker.ts";
import type { World } from "./world.ts";

/** Of all messages. */
const KILLS_AT_PERCENT = [33, 66];
const RESTORE_AFTER_MS = 20_000;
/** Of `meridian replay`. */
const WINDOW = 64;
const CLIENTS_PER_REGION = 4;

export interface ReplayOfLogsOptions {
  readonly world: World;
  /** Where the record goes. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** Answers whether all was said, read everywhere and judged well, with every loss shown to have had an effect. */
export async function replayLogs({ world, folder, say }: ReplayOfLogsOptions): Promise<boolean> {
  const scripts = checkScripts(logFiles().map((file) => chatScript(file, readFileSync(file), "")));
  const { regions } = world;
  const record = join(folder, "replay.jsonl");
  let isWhole = false;
  await withRecord(record, async (sink) => {
    const conversations = scripts.map(({ conversation }) => conversation);
    const recorder = new Recorder({ sink, clock, about: "chaos replay", regions, conversations });
    const homes = regions.map((region) => ({ region, endpoints: world.endpointsFrom(region) }));
    const onTrouble = (text: string) => say(`a client says: ${text}`);
    const common = { clock, recorder, homes, connect, agent: "meridian-chaos", onTrouble };
    const fleet = await Fleet.open({ ...common, clientsPerRegion: CLIENTS_PER_REGION });
    const kills = { breaker: new RegionBreaker(world), atPercent: KILLS_AT_PERCENT, restoreAfterMs: RESTORE_AFTER_MS };
    const { signal } = new AbortController();
    const replay = new Replay({ clock, recorder, fleet, scripts, window: WINDOW, kills, signal });
    try {
      say(`saying ${replay.messages} messages in ${scripts.length} conversations again`);
      await replay.run();
    } finally {
      await fleet.close();
    }
    await recorder.end();
    for (const { human } of replaySummary(replay, scripts)) say(human);
    isWhole =
      replay.tally.counts.committed === replay.messages &&
      replay.behind.length === 0 &&
      replay.kills?.reports.every(({ problem }) => problem === undefined) === true;
  });
  say("judging the record");
  const verdict = await verifyRecord(fileLines(record));
  for (const { human } of report(verdict)) say(human);
  return isWhole && verdict.status === "holds";
}
