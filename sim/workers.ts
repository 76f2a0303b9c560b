import { type ChildProcess, fork } from "node:child_process";
import type { Plan } from "./plan.ts";
import { report } from "./report.ts";
import { run } from "./run.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { drawPlan } from "./swarm.ts";

/** What a worker says of one seed. */
export interface Outcome {
  readonly seed: number;
  readonly events: number;
  readonly tally: Readonly<Record<string, number>>;
  /** Undefined: all holds. */
  readonly failure: { readonly guarantee: string; readonly report: string } | undefined;
}

/** Each so many-th seed is run twice: a history that is not the same both times could not be replayed. */
const TWICE_EVERY = 20;

/** A negative number names a scenario: -1 the first. */
function planOf(seed: number): Plan {
  return SCENARIOS[-1 - seed]?.plan ?? drawPlan(seed);
}

async function judgeSeed(seed: number, mutant: string | undefined): Promise<Outcome> {
  const result = await run(planOf(seed));
  const how = `--seed ${seed}${mutant === undefined ? "" : ` --mutant ${mutant}`}`;
  const [first] = result.breaches;
  const { events, tally } = result;
  if (first !== undefined) return { seed, events, tally, failure: { guarantee: first.guarantee, report: report(result, how) } };
  if (seed % TWICE_EVERY !== 0) return { seed, events, tally, failure: undefined };
  const again = await run(planOf(seed));
  if (again.trace === result.trace) return { seed, events: 2 * events, tally, failure: undefined };
  const at = result.steps.findIndex((step, i) => step.text !== again.steps[i]?.text || step.events !== again.steps[i]?.events);
  const told = `seed ${seed} takes another course the second time: step ${at} is “${result.steps[at]?.text}”, then “${again.steps[at]?.text}”`;
  return { seed, events, tally, failure: { guarantee: "determinism", report: told } };
}

/** In a worker: judges the seeds that the parent names. */
export function serveParent(mutant: string | undefined): void {
  process.on("message", (seed: number) => {
    judgeSeed(seed, mutant).then(
      (outcome) => process.send?.(outcome),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}

/** Hands seeds to `jobs` processes as long as `next` names one; resolves when all have answered. */
export function spread(options: {
  readonly jobs: number;
  readonly args: readonly string[];
  readonly next: () => number | undefined;
  readonly judged: (outcome: Outcome) => void;
}): Promise<void> {
  const work = Array.from({ length: options.jobs }, () => serve(options));
  return Promise.all(work).then(() => {});
}

function serve({ args, next, judged }: Parameters<typeof spread>[0]): Promise<void> {
  return new Promise((resolve, reject) => {
    const first = next();
    if (first === undefined) return resolve();
    const child: ChildProcess = fork(process.argv[1] ?? "", ["--worker", ...args]);
    child.on("message", (outcome: Outcome) => {
      judged(outcome);
      const seed = next();
      if (seed === undefined) child.disconnect();
      else child.send(seed);
    });
    child.on("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`a worker ended with ${code ?? signal}`));
    });
    child.send(first);
  });
}
