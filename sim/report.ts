import { sayFault } from "./faults.ts";
import type { Plan } from "./plan.ts";
import type { Result } from "./run.ts";
import { sizeOf } from "./shrink.ts";
import { lineOf, type Step } from "./trace.ts";

const LAST_STEPS = 40;

/** What broke, in words, and how to see it again. `how` are the arguments that lead to this history. */
export function report(result: Result, how: string): string {
  const { plan, breaches, steps } = result;
  const [first] = breaches;
  if (first === undefined) return `seed ${plan.seed} holds: ${result.events} events, ${sizeOf(plan)}`;
  return [
    `seed ${plan.seed} breaks ${first.guarantee}: ${first.sentence}`,
    ...breaches.slice(1, 3).map(({ guarantee, sentence }) => `  then ${guarantee}: ${sentence}`),
    `its mix: ${mixOf(plan)}`,
    `the last steps about it (all of them: --story):`,
    ...stepsAbout(steps, first.sentence).map((step) => `  ${lineOf(step)}`),
    `replay it: npm run sim -- ${how}`,
    `shrink it: npm run sim -- ${how} --shrink`,
  ].join("\n");
}

/** Options and faults of a plan, shortly. */
function mixOf(plan: Plan): string {
  const kinds = new Map<string, number>();
  for (const { kind } of plan.faults) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const faults = [...kinds].map(([kind, count]) => (count === 1 ? kind : `${count} × ${kind}`)).join(", ");
  return `${sizeOf(plan)}, ${plan.replicasPerRegion} replicas a region, ${plan.troubledMs / 1_000} s; ${faults || "no faults"}`;
}

/** A whole history in words: first what was planned, then what came of it. */
export function story(result: Result): readonly string[] {
  const planned = result.plan.faults.map((fault) => `planned at ${fault.atMs} ms: ${sayFault(fault)}, for ${fault.forMs} ms`);
  return [...planned, ...result.steps.map(lineOf)];
}

/** Faults, leaders and all that names the conversations which the sentence names; deliveries are many and tell little. */
function stepsAbout(steps: readonly Step[], sentence: string): readonly Step[] {
  const named = [...new Set(steps.flatMap(({ text }) => / leads (\S+) /.exec(text)?.[1] ?? []))].filter((name) =>
    sentence.includes(name),
  );
  const tells = ({ text }: Step) =>
    /^(FAULT|over|EVERYTHING)/.test(text) || named.length === 0 || named.some((name) => text.includes(name));
  return steps.filter(tells).slice(-LAST_STEPS);
}
