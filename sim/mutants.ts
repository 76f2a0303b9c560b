import type { Patch } from "./patch.ts";

export interface Mutant {
  readonly name: string;
  /** What is broken, in a sentence. */
  readonly what: string;
  readonly patches: readonly Patch[];
}

export const MUTANTS: readonly Mutant[] = [];
