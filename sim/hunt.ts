import { type ChildProcess, fork } from "node:child_process";
import type { Mutant } from "./mutants/mutant.ts";
import type { Options } from "./options.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import type { Outcome } from "./workers.ts";

interface Catch {
  readonly name: string;
  /** The guarantee that the general mix saw broken. */
  readonly by: string | undefined;
  readonly seeds: number;
  readonly scenario: string | undefined;
}

/**
 * Each seeded bug in turn: the scenarios, and seeds from 1 on until something breaks, at most `--seeds` of them and `--minutes`
 * a bug. Answers whether all were found, by the general mix or by a scenario.
 */
export async function hunt(options: Options, mutants: readonly Mutant[], say: (text: string) => void): Promise<boolean> {
  const wanted = mutants.filter(({ name }) => options.mutant === undefined || name === options.mutant);
  const waiting = [...wanted];
  const caught: Catch[] = [];
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const found = await chase(mutant, options);
      caught.push(found);
      const { name, by, seeds, scenario } = found;
      say(`| ${name} | ${by ?? "–"} | ${by === undefined ? "> " : ""}${seeds} | ${scenario ?? "–"} |`);
    }
  };
  say("| name | found by | seeds needed | scenario that finds it |\n|---|---|---|---|");
  await Promise.all(Array.from({ length: options.jobs }, work));
  const needed = caught.filter(({ by }) => by !== undefined).map(({ seeds }) => seeds);
  const median = needed.sort((a, b) => a - b)[Math.floor(needed.length / 2)];
  const found = caught.filter(({ by, scenario }) => by !== undefined || scenario !== undefined).length;
  say(`\n${found} of ${wanted.length} found, ${needed.length} of them by the general mix; its median is ${median ?? "–"} seeds`);
  return found === wanted.length;
}

async function chase({ name }: Mutant, { seeds: limit, minutes }: Options): Promise<Catch> {
  const suspect = new Suspect(name);
  let scenario: string | undefined;
  for (const number of scenariosFor(name)) {
    if ((await suspect.breaks(number)) === undefined) continue;
    scenario = SCENARIOS[-1 - number]?.name;
    break;
  }
  const endMs = Date.now() + minutes * 60_000;
  let by: string | undefined;
  let seeds = 0;
  while (by === undefined && seeds < limit && Date.now() < endMs) {
    seeds += 1;
    by = await suspect.breaks(seeds);
  }
  suspect.end();
  return { name, by, seeds, scenario };
}

/** Their numbers, as workers know them; those that say that they find this bug come first. */
function scenariosFor(name: string): readonly number[] {
  const finds = (number: number) => SCENARIOS[-1 - number]?.finds.includes(name) === true;
  const all = SCENARIOS.map((_, i) => -1 - i);
  return [...all.filter(finds), ...all.filter((number) => !finds(number))];
}

/** A process with the bug built in. */
class Suspect {
  readonly #name: string;
  #child: ChildProcess | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** The guarantee that a seed, or a scenario with a number below 0, breaks. */
  breaks(seed: number): Promise<string | undefined> {
    const child = this.#child ?? fork(process.argv[1] ?? "", ["--worker", "--mutant", this.#name]);
    this.#child = child;
    return new Promise((resolve) => {
      const exited = () => {
        // A loop without end, or memory without end: found, though nobody could say so.
        this.#child = undefined;
        resolve("the process died");
      };
      child.once("exit", exited);
      child.once("message", ({ failure }: Outcome) => {
        child.off("exit", exited);
        resolve(failure?.guarantee);
      });
      child.send(seed);
    });
  }

  end(): void {
    this.#child?.disconnect();
  }
}
