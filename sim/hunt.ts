import { fork } from "node:child_process";
import type { Mutant } from "./mutants.ts";
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

/** Each seeded bug in turn: seeds from 1 on until something breaks, and the scenarios. Answers whether all were found. */
export async function hunt(options: Options, mutants: readonly Mutant[], say: (text: string) => void): Promise<boolean> {
  const wanted = mutants.filter(({ name }) => options.mutant === undefined || name === options.mutant);
  const waiting = [...wanted];
  const caught: Catch[] = [];
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const found = await chase(mutant, options.seeds);
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

/** A process with the bug built in runs the scenarios until one breaks, then seed after seed. */
function chase({ name }: Mutant, limit: number): Promise<Catch> {
  return new Promise((resolve, reject) => {
    let scenario: string | undefined;
    let seed = -1;
    const child = fork(process.argv[1] ?? "", ["--worker", "--mutant", name]);
    child.on("message", ({ failure }: Outcome) => {
      if (seed < 0) {
        if (failure !== undefined) scenario = SCENARIOS[-1 - seed]?.name;
        seed = failure !== undefined || -seed === SCENARIOS.length ? 1 : seed - 1;
      } else if (failure === undefined && seed < limit) {
        seed += 1;
      } else {
        child.disconnect();
        resolve({ name, by: failure?.guarantee, seeds: seed, scenario });
        return;
      }
      child.send(seed);
    });
    child.on("exit", (code) => {
      // A loop without end, or memory without end: found, though nobody could say so.
      if (code !== 0 && seed > 0) resolve({ name, by: "the process died", seeds: seed, scenario });
      else if (code !== 0) reject(new Error(`the process with the mutant ${name} ended with ${code} in a scenario`));
    });
    child.send(seed);
  });
}
