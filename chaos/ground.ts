import type { Site } from "../test/support/site.ts";

/**
 * What a world's servers stand on, all of it on this machine: the loopback, or a wide area, with each region in a network namespace
 * of its own. Clients are near all regions of that, so that readers share one clock and no cut between regions befalls a client;
 * what makes one live in a region is the long way that it has to the others.
 */
export interface Ground {
  /** One for each region, in the topology's order; undefined: everything is on the loopback. */
  readonly sites: readonly Site[] | undefined;
  /** How long it takes from clients of one region to nodes of another one. */
  readonly oneWayMs: (from: string, to: string) => number;
}

/** Everything is near; clients are kept from nodes of other regions only by so much that they know which are theirs. */
export const LOOPBACK: Ground = { sites: undefined, oneWayMs: () => 20 };
