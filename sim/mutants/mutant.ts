import type { Patch } from "../patch.ts";

/** A seeded bug: the simulator must find it, or its checks are worth little. */
export interface Mutant {
  readonly name: string;
  /** What is broken, in a sentence. */
  readonly what: string;
  readonly patches: readonly Patch[];
}
