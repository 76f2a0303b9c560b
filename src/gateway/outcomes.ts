import type { MessageInitShape } from "@bufbuild/protobuf";
import type { OutcomeRunSchema } from "../gen/meridian/v1/client_pb.ts";
import type { MeridianError } from "../kernel/errors.ts";
import { fateToWire, goesOn, type JoinedFates } from "../routing/fates.ts";
import type { Fate } from "../routing/leaders.ts";

/** What became of a run of counters: a fate for each, or one error over all of them. */
export interface Settled {
  readonly firstCounter: number;
  readonly count: number;
  readonly result: Result;
}

export type Result =
  | { readonly kind: "fates"; readonly fates: readonly Fate[] }
  | { readonly kind: "failed"; readonly error: MeridianError };

interface Run extends JoinedFates {
  readonly counter: number;
}

/**
 * The outcomes as few runs as possible: neighbours join if their counters, seqs and ids are consecutive, or if their error is
 * the same.
 */
export function outcomeRuns(settled: readonly Settled[]): MessageInitShape<typeof OutcomeRunSchema>[] {
  const runs: Run[] = [];
  for (const { firstCounter, count, result } of settled) {
    if (result.kind === "failed") join(runs, firstCounter, { kind: "refused", error: result.error }, count);
    else for (const [i, fate] of result.fates.entries()) join(runs, firstCounter + i, fate, 1);
  }
  return runs.map((run) => ({ counter: BigInt(run.counter), count: run.count, fate: fateToWire(run.fate) }));
}

function join(runs: Run[], counter: number, fate: Fate, count: number): void {
  const last = runs.at(-1);
  if (last !== undefined && last.counter + last.count === counter && goesOn(last, fate)) last.count += count;
  else runs.push({ counter, count, fate });
}
