import type { Plan } from "./plan.ts";

/** A history in a file: `test/sim/regressions` holds those that once broke something. */
export interface Kept {
  /** What went wrong, in a sentence. */
  readonly why: string;
  /** The seeded bug that it was found with, if it was one. */
  readonly mutant?: string;
  /** What it broke then. */
  readonly broke: string;
  /** The whole history in words, for people. */
  readonly story: readonly string[];
  readonly plan: Plan;
}
