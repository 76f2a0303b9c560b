/**
 * Named histories: the situations that the protocol is made for, each alone, in a calm world. The general mix finds the same,
 * sooner or later; these say it in a few lines, and each names the seeded bugs (sim/mutants) that it is there to find.
 */
import { BOUNDED } from "./bounds.ts";
import type { Scenario } from "./build.ts";
import { CLIENTS } from "./clients.ts";
import { COORDINATOR } from "./coordinator.ts";
import { GENERAL } from "./general.ts";
import { IDS } from "./ids.ts";
import { LEADERSHIP } from "./leadership.ts";
import { LEASE } from "./lease.ts";
import { LOG } from "./log.ts";
import { TAKEOVER } from "./takeover.ts";

export const SCENARIOS: readonly Scenario[] = [
  ...GENERAL,
  ...LOG,
  ...TAKEOVER,
  ...LEADERSHIP,
  ...LEASE,
  ...IDS,
  ...COORDINATOR,
  ...CLIENTS,
  ...BOUNDED,
];
