import type { MessageInitShape } from "@bufbuild/protobuf";
import type { OutcomeRunSchema } from "../gen/meridian/v1/client_pb.ts";
import { toErrorDetail } from "../kernel/error-wire.ts";
import type { MeridianError } from "../kernel/errors.ts";
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

interface Run {
  readonly counter: number;
  count: number;
  /** The fate of the first counter. */
  readonly fate: Fate;
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
  return runs.map((run) => ({ counter: BigInt(run.counter), count: run.count, fate: fateOnWire(run.fate) }));
}

function join(runs: Run[], counter: number, fate: Fate, count: number): void {
  const last = runs.at(-1);
  if (last !== undefined && last.counter + last.count === counter && goesOn(last, fate)) last.count += count;
  else runs.push({ counter, count, fate });
}

function goesOn(run: Run, fate: Fate): boolean {
  const first = run.fate;
  if (first.kind === "refused") return fate.kind === "refused" && fate.error === first.error;
  if (fate.kind !== first.kind) return false;
  return fate.seq === first.seq + run.count && fate.id === first.id + BigInt(run.count);
}

function fateOnWire(fate: Fate): NonNullable<MessageInitShape<typeof OutcomeRunSchema>["fate"]> {
  if (fate.kind === "refused") return { case: "error", value: toErrorDetail(fate.error) };
  return { case: fate.kind, value: { seq: BigInt(fate.seq), id: fate.id } };
}
