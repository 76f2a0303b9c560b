/** Each is a rule left out, or a short cut that design and models name. See docs/simulation.md for how soon each is found. */
import { UNBOUNDED } from "./bounds.ts";
import { EPOCHS } from "./epochs.ts";
import { IDS } from "./ids.ts";
import { LEADERSHIP } from "./leadership.ts";
import { LEASE } from "./lease.ts";
import { LOG } from "./log.ts";
import type { Mutant } from "./mutant.ts";
import { READING } from "./reading.ts";
import { STATE } from "./state.ts";

export const MUTANTS: readonly Mutant[] = [
  ...LOG,
  ...STATE,
  ...LEADERSHIP,
  ...EPOCHS,
  ...LEASE,
  ...IDS,
  ...READING,
  ...UNBOUNDED,
];
