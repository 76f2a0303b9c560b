import { fork } from "node:child_process";
import type { Mutant } from "./mutants.ts";
import type { Options } from "./options.ts";
import type { Outcome } from "./workers.ts";

interface Catch {
  readonly name: string;
  readonly by: string | undefined;
  readonly seeds: number;
}

/** Each seeded bug in turn, with seeds from 1 on, until something breaks: how good the checks are. Answers whether all were found. */
export async function hunt(options: Options, mutants: readonly Mutant[], say: (text: string) => void): Promise<boolean> {
  const wanted = mutants.filter(({ name }) => options.mutant === undefined || name === options.mutant);
  const waiting = [...wanted];
  const caught: Catch[] = [];
  const limit = options.seeds;
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const found = await chase(mutant, limit, options.minutes * 60_000);
      caught.push(found);
      say(`| ${found.name} | ${found.by ?? "not found"} | ${found.by === undefined ? "> " : ""}${found.seeds} |`);
    }
  };
  say("| name | found by | seeds needed |\n|---|---|---|");
  await Promise.all(Array.from({ length: options.jobs }, work));
  const needed = caught
    .filter(({ by }) => by !== undefined)
    .map(({ seeds }) => seeds)
    .sort((a, b) => a - b);
  say(`\n${needed.length} of ${wanted.length} found; median ${needed[Math.floor(needed.length / 2)] ?? "–"} seeds`);
  return needed.length === wanted.length;
}

/** A process with the bug built in runs seed after seed. */
function chase({ name }: Mutant, limit: number, withinMs: number): Promise<Catch> {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    let seed = 1;
    const child = fork(process.argv[1] ?? "", ["--worker", "--mutant", name]);
    child.on("message", ({ failure }: Outcome) => {
      if (failure === undefined && seed < limit && Date.now() - startedMs < withinMs) {
        seed += 1;
        child.send(seed);
        return;
      }
      child.disconnect();
      resolve({ name, by: failure?.guarantee, seeds: seed });
    });
    child.on("exit", (code) => {
      if (code !== 0) reject(new Error(`the process with the mutant ${name} ended with ${code}`));
    });
    child.send(seed);
  });
}
