import type { Plan } from "./plan.ts";
import { type Result, run } from "./run.ts";

export interface Shrunk {
  readonly result: Result;
  readonly runs: number;
}

/**
 * Makes a failing plan smaller as long as it goes on breaking the same guarantee: fewer faults, fewer operations, fewer
 * actors, fewer readings. Whatever is left out changes the luck of the rest a little, so each try is a history of its own.
 */
export async function shrink(failing: Result, runsMax: number, told: (text: string) => void = () => {}): Promise<Shrunk> {
  const kind = kindOf(failing);
  let best = failing;
  let runs = 0;
  const tryPlan = async (plan: Plan): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs += 1;
    const result = await run(plan);
    if (kindOf(result) !== kind) return false;
    best = result;
    told(`${sizeOf(plan)} after ${runs} runs`);
    return true;
  };
  for (let before = ""; before !== sizeOf(best.plan) && runs < runsMax; ) {
    before = sizeOf(best.plan);
    await shorten(
      () => best.plan.faults,
      (faults) => tryPlan({ ...best.plan, faults }),
    );
    await shorten(
      () => best.plan.operations,
      (operations) => tryPlan({ ...best.plan, operations }),
    );
    await shorten(
      () => best.plan.actors,
      (actors) => tryPlan(withActors(best.plan, actors)),
    );
    await shorten(
      () => best.plan.nodes,
      (nodes) => tryPlan({ ...best.plan, nodes }),
    );
  }
  return { result: best, runs };
}

/** The guarantee and the sentence without its names and numbers: else shrinking slips to another breach of the same guarantee. */
function kindOf({ breaches }: Result): string | undefined {
  const [first] = breaches;
  return first && `${first.guarantee} ${first.sentence.replace(/\S*[\d@#“/-]\S*|\b(?:ada|bob|cy|dee|standup|ops|lunch)\b/g, "")}`;
}

export function sizeOf({ faults, operations, actors, nodes }: Plan): string {
  return `${faults.length} faults, ${operations.length} operations, ${actors.length} clients, ${nodes.length} nodes`;
}

/** Leaves out halves, then quarters, down to single items. */
async function shorten<T>(items: () => readonly T[], tryWith: (rest: readonly T[]) => Promise<boolean>): Promise<void> {
  for (let size = Math.ceil(items().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < items().length; ) {
      const rest = [...items().slice(0, at), ...items().slice(at + size)];
      if (!(await tryWith(rest))) at += size;
    }
  }
}

function withActors(plan: Plan, actors: Plan["actors"]): Plan {
  const names = new Set(actors.map(({ name }) => name));
  const operations = plan.operations.filter((operation) => operation.kind === "move" || names.has(operation.actor));
  return { ...plan, actors, operations };
}
