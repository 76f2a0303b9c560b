import type { Wan } from "../scripts/engines/wan.mjs";
import type { Site } from "../test/support/site.ts";

/** What a world's servers stand on, all of it on this machine. */
export interface Ground {
  /** One for each region, in the topology's order; without them everything is on the loopback. */
  readonly sites?: readonly Site[];
  /** What the ways between etcd's members ask for. */
  readonly etcdFlags: readonly string[];
  /** How long it takes from clients of one region to nodes of another one. */
  readonly oneWayMs: (from: string, to: string) => number;
}

/** Everything is near; clients are kept from nodes of other regions only by so much that they know which are theirs. */
export const LOOPBACK: Ground = { etcdFlags: [], oneWayMs: () => 20 };

/**
 * Each region in a network namespace of its own, the whole world apart. Clients are near all of them, so that readers of all
 * regions share one clock and no cut between regions befalls a client; what makes one live in a region is the long way that it
 * has to the others.
 */
export function onWan(wan: Wan): Ground {
  // docs/operating.md says why; without the last one a member that comes back calls an election at once.
  const etcdFlags = ["--heartbeat-interval=250", "--election-timeout=2500", "--initial-election-tick-advance=false"];
  return { sites: wan.sites, etcdFlags, oneWayMs: (from, to) => wan.oneWayMs(from, to) };
}
