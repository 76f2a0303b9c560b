/**
 * A run of chaos: people chat in all regions at a steady rate while one fault after the other befalls the cluster, then pairs
 * of them; everything that clients saw is recorded, and the record is judged as a whole.
 */
import { join } from "node:path";
import type { Finding } from "../bench/report.ts";
import { Fleet } from "../src/cli/load/fleet.ts";
import { withRecord } from "../src/cli/load/record-file.ts";
import { SteadyLoad } from "../src/cli/load/steady-load.ts";
import { fileLines } from "../src/cli/text-lines.ts";
import { connect } from "../src/index.ts";
import { sleep } from "../src/kernel/timing.ts";
import type { RecordSink } from "../src/verify/record-writer.ts";
import { Recorder } from "../src/verify/recorder.ts";
import { type Verdict, verifyRecord } from "../src/verify/verdict.ts";
import { Chat } from "./chat.ts";
import { clock } from "./clock.ts";
import type { Effect, Fault } from "./effects.ts";
import { mergedEpochs } from "./epochs.ts";
import { Leaders } from "./leaders.ts";
import { Stalls } from "./stalls.ts";
import type { World } from "./world.ts";

export interface ChaosOptions {
  readonly world: World;
  readonly folder: string;
  /** Regions that lead the conversations; by default all of them. */
  readonly homes?: readonly string[];
  /** One after the other. */
  readonly faults: readonly Fault[];
  /** After them, random pairs until so much time has passed since the start; 0 for none. */
  readonly pairsUntilMs: number;
  /** Between two turns of a conversation in one region. */
  readonly everyMs: number;
  /** From the first turn to the first fault. */
  readonly warmUpMs: number;
  readonly random: () => number;
  readonly say: (line: string) => void;
}

/** What one fault, or two at once, did. */
export interface Befallen {
  readonly names: readonly string[];
  readonly atMs: number;
  readonly effects: readonly Effect[];
  /** The longest time that a conversation had no acknowledged send, from the strike on. */
  readonly longestStallMs: number;
  /** Likewise once all had recovered: while what was broken came back. Undefined where nothing was waited for. */
  readonly mendingStallMs: number | undefined;
  readonly stallBoundMs: number | undefined;
}

export interface ChaosReport {
  readonly tookMs: number;
  readonly conversations: number;
  readonly readers: number;
  readonly counts: SteadyLoad["counts"];
  readonly befallen: readonly Befallen[];
  readonly behind: readonly string[];
  readonly verdict: Verdict;
  /** How long messages took before, over a wide area. */
  readonly figures?: readonly Finding[];
}

const CONVERSATIONS = 10;
const CALM_MS = 5_000;

export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const record = join(options.folder, "record.jsonl");
  let seen: Omit<ChaosReport, "verdict"> | undefined;
  await withRecord(record, async (sink) => {
    seen = await befall(options, sink);
  });
  if (seen === undefined) throw new Error("the run has no end");
  options.say("judging the record");
  return { ...seen, verdict: await verifyRecord(fileLines(record)) };
}

async function befall(
  { world, homes = world.regions, faults, pairsUntilMs, everyMs, warmUpMs, random, say }: ChaosOptions,
  sink: RecordSink,
): Promise<Omit<ChaosReport, "verdict">> {
  const { regions } = world;
  const conversations = Array.from({ length: CONVERSATIONS }, (_, at) => `talk-${at + 1}@${homes[at % homes.length]}`);
  const recorder = new Recorder({ sink, clock, about: "chaos", regions, conversations });
  const fleet = await Fleet.open({
    connect,
    agent: "meridian-chaos",
    clock,
    recorder,
    homes: regions.map((region) => ({ region, endpoints: world.endpointsFrom(region) })),
    clientsPerRegion: 2,
    onTrouble: (text) => say(`a client says: ${text}`),
  });
  const chat = new Chat();
  const load = new SteadyLoad({ clock, fleet, conversations, everyMs, says: (...turn) => chat.says(...turn) });
  const leaders = new Leaders(fleet, conversations);
  const startedMs = clock.monotonicMs();
  const befallen: Befallen[] = [];
  try {
    await fleet.read(conversations, () => {});
    load.start();
    await sleep(clock, warmUpMs);
    for await (const chosen of plan(faults, pairsUntilMs === 0 ? 0 : startedMs + pairsUntilMs, random)) {
      say(`${chosen.map(({ does }) => does).join("; and at once: ")}`);
      const atMs = clock.monotonicMs() - startedMs;
      const stalls = new Stalls(load);
      const scene = {
        world,
        leaders,
        struck: () => stalls.begin(),
        recovered: (names: Iterable<string>) => stalls.recovered(names),
      };
      const effects = await Promise.all(chosen.map((fault) => fault.run(scene)));
      tellEpochs(recorder, regions, mergedEpochs(effects.flatMap(({ epochs }) => epochs)));
      await sleep(clock, CALM_MS);
      const [only, second] = chosen;
      const one = {
        names: chosen.map(({ name }) => name),
        atMs,
        effects,
        ...stalls.end(),
        stallBoundMs: second === undefined ? only?.stallBoundMs : undefined,
      };
      befallen.push(one);
      for (const { what, signs, problems } of effects) say(`  ${what}: ${[...signs, ...problems].join(", ")}`);
      say(`  longest stall ${told(one.longestStallMs)}, while it was mended ${told(one.mendingStallMs)}`);
    }
    await load.stop();
    const behind = await fleet.catchUp(conversations);
    const tookMs = clock.monotonicMs() - startedMs;
    const readers = conversations.length * regions.length;
    return { tookMs, conversations: conversations.length, readers, counts: load.counts, befallen, behind };
  } finally {
    await load.stop();
    await fleet.close();
    await recorder.end();
  }
}

function told(ms: number | undefined): string {
  return ms === undefined ? "not told apart" : `${(ms / 1_000).toFixed(1)} s`;
}

/** Each of the faults, then pairs of them while there is time. */
function* plan(faults: readonly Fault[], untilMs: number, random: () => number): Generator<readonly Fault[]> {
  for (const fault of faults) yield [fault];
  const paired = faults.filter(({ pairs }) => pairs);
  while (clock.monotonicMs() < untilMs && paired.length > 1) {
    const first = Math.floor(random() * paired.length);
    const second = (first + 1 + Math.floor(random() * (paired.length - 1))) % paired.length;
    yield [paired[first] as Fault, paired[second] as Fault];
  }
}

/** The checks follow the epochs; nothing is lost for good, so the region counts as back at once. */
function tellEpochs(recorder: Recorder, [region = ""]: readonly string[], epochs: Effect["epochs"]): void {
  if (epochs.length === 0) return;
  recorder.fault({ kind: "kill", region, epochs });
  recorder.fault({ kind: "restore", region, epochs: [] });
}
