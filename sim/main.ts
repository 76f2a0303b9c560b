/** npm run sim: fresh histories on several cores, or one of them again. See docs/simulation.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { hunt } from "./hunt.ts";
import type { Kept } from "./kept.ts";
import { MUTANTS } from "./mutants/index.ts";
import { type Options, parseOptions } from "./options.ts";
import { report, story } from "./report.ts";
import { type Result, run } from "./run.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { shrink, sizeOf } from "./shrink.ts";
import { drawPlan } from "./swarm.ts";
import { type Outcome, serveParent, spread } from "./workers.ts";

const PROGRESS_MS = 10_000;
const SHRINK_RUNS = 400;

const say = (text: string) => process.stdout.write(`${text}\n`);

try {
  process.exitCode = (await main(parseOptions(process.argv.slice(2)))) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}

/** Answers whether all held. */
async function main(options: Options): Promise<boolean> {
  if (options.worker) {
    serveParent(options.mutant);
    return true;
  }
  if (options.mutants) return hunt(options, MUTANTS, say);
  if (options.scenarios) return scenarios(options);
  if (options.replay.length > 0) return replay(options);
  if (options.seed !== undefined && options.seeds === 1) return tell(await run(drawPlan(options.seed)), options);
  return many(options);
}

/** A line each, which test/sim reads: `holds <name>` or `breaks <name>`. */
async function scenarios(options: Options): Promise<boolean> {
  let good = true;
  for (const { name, plan } of SCENARIOS.filter((scenario) => scenario.name.includes(options.only))) {
    const result = await run(plan);
    const [breach] = result.breaches;
    say(breach === undefined ? `holds ${name}` : `breaks ${name}: ${breach.guarantee}, ${breach.sentence}`);
    if (options.story) for (const line of story(result)) say(line);
    good &&= breach === undefined;
  }
  return good;
}

/** Kept histories hold, or, with a mutant named in the file and on the command line, break. */
async function replay(options: Options): Promise<boolean> {
  let good = true;
  for (const file of options.replay) {
    const kept = JSON.parse(readFileSync(file, "utf8")) as Kept;
    say(`${file}: ${kept.why}`);
    good = (await tell(await run(kept.plan), options, `--replay ${file}`)) && good;
  }
  return good;
}

async function tell(result: Result, options: Options, from = `--seed ${result.plan.seed}`): Promise<boolean> {
  const how = `${from}${options.mutant === undefined ? "" : ` --mutant ${options.mutant}`}`;
  if (options.story) for (const line of story(result)) say(line);
  say(report(result, how));
  const [breach] = result.breaches;
  if (breach === undefined) return true;
  if (options.shrink) {
    const { result: small, runs } = await shrink(result, SHRINK_RUNS, (text) => process.stderr.write(`${text}\n`));
    say(`\nafter ${runs} runs: ${sizeOf(small.plan)}\n`);
    for (const line of story(small)) say(line);
    say(small.breaches.map(({ guarantee, sentence }) => `${guarantee}: ${sentence}`).join("\n"));
    if (options.out !== undefined) keep(options.out, options, small);
  }
  return false;
}

function keep(file: string, { why, mutant }: Options, { plan, breaches, steps }: Result): void {
  const kept: Kept = {
    why,
    ...(mutant === undefined ? {} : { mutant }),
    broke: breaches[0] === undefined ? "" : `${breaches[0].guarantee}: ${breaches[0].sentence}`,
    story: story({ plan, steps } as Result),
    plan,
  };
  writeFileSync(file, `${JSON.stringify(kept, undefined, 1)}\n`);
}

async function many(options: Options): Promise<boolean> {
  const startedMs = Date.now();
  const first = options.seed ?? Math.floor(Math.random() * 2 ** 31);
  const endMs = startedMs + options.minutes * 60_000;
  const sum = { seeds: 0, events: 0, leaderChanges: 0, regionsLost: 0 };
  const failures: Outcome[] = [];
  let given = 0;
  let toldMs = startedMs;
  const state = () => {
    const seconds = (Date.now() - startedMs) / 1_000;
    const percent = (count: number) => `${Math.round((100 * count) / Math.max(1, sum.seeds))} %`;
    return (
      `${sum.seeds} seeds from ${first} on, ${sum.events} events in ${seconds.toFixed(0)} s: ` +
      `${(sum.seeds / seconds).toFixed(1)} seeds/s, ${Math.round(sum.events / seconds)} events/s; ` +
      `${percent(sum.leaderChanges)} saw a change of leaders, ${percent(sum.regionsLost)} lost a region; ${failures.length} failed`
    );
  };
  await spread({
    jobs: options.jobs,
    args: options.mutant === undefined ? [] : ["--mutant", options.mutant],
    next: () => {
      const isTime = Date.now() < endMs || given < options.floor;
      if (given >= options.seeds || !isTime || failures.length > 0) return undefined;
      given += 1;
      return first + given - 1;
    },
    judged: (outcome) => {
      sum.seeds += 1;
      sum.events += outcome.events;
      sum.leaderChanges += (outcome.tally.leaderChanges ?? 0) > 0 ? 1 : 0;
      sum.regionsLost += (outcome.tally.regionsLost ?? 0) > 0 ? 1 : 0;
      if (outcome.failure !== undefined) failures.push(outcome);
      if (Date.now() - toldMs < PROGRESS_MS) return;
      toldMs = Date.now();
      say(state());
    },
  });
  for (const { failure } of failures) say(`\n${failure?.report}`);
  say(state());
  return failures.length === 0;
}
