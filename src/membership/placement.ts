import { MeridianError } from "../kernel/errors.ts";
import type { Header, KeyValue } from "../ports/coordinator.ts";
import type { Calls } from "./calls.ts";
import { encodeValue, keys, type PlacementValue, parsePlacement } from "./keys.ts";

/** Of `shardOf` and `defaultHome`: raised when either maps a name to another place. */
const VERSION = 1;

/** What all nodes agree on, and the revision that every claim is guarded by. */
export interface Placement extends PlacementValue {
  readonly modRevision: number;
}

export interface PlacementWanted {
  readonly shards: number;
  readonly regions: readonly string[];
}

/**
 * Reads the placement; the first node of a cluster puts it. Throws INVALID_ARGUMENT when this node is configured otherwise,
 * CORRUPT when the key is unreadable or has vanished, UNAVAILABLE when there is no answer.
 */
export async function agreeOnPlacement(
  calls: Calls,
  wanted: PlacementWanted,
  /** False once this node has seen a placement: then its absence is no beginning, but a loss. */
  mayCreate: boolean,
): Promise<{ readonly placement: Placement; readonly header: Header }> {
  const mine = { version: VERSION, shards: wanted.shards, regions: [...wanted.regions].sort(), incarnation: 0 };
  const create = { guards: [{ key: keys.placement, modRevision: 0 }], puts: [{ key: keys.placement, value: encodeValue(mine) }] };
  const answer = await calls.survey("reading the placement", { ...(mayCreate ? create : {}), ranges: [{ key: keys.placement }] });
  if (!("header" in answer)) {
    const cause = answer.status === "unknown" ? answer.cause : answer.reason;
    throw new MeridianError("UNAVAILABLE", "the coordinator did not tell the placement", { cause });
  }
  const placement = readPlacement(answer.ranges[0]?.kvs[0]);
  check(placement, mine);
  return { placement, header: answer.header };
}

function readPlacement(kv: KeyValue | undefined): Placement {
  if (kv !== undefined) return { ...parsePlacement(kv), modRevision: kv.modRevision };
  throw new MeridianError("CORRUPT", `the coordinator has lost the key ${keys.placement}`, {
    advice: "Its data is gone or was restored from before the cluster began: put the placement back as docs/operating.md says.",
  });
}

function check(placement: Placement, mine: PlacementValue): void {
  for (const field of ["version", "shards", "regions"] as const) {
    const [theirs, ours] = [String(placement[field]), String(mine[field])];
    if (theirs === ours) continue;
    throw new MeridianError("INVALID_ARGUMENT", `the cluster was set up with ${field} ${theirs}, this node with ${ours}`, {
      advice: `Start this node with the cluster's ${field}; the placement of a cluster never changes.`,
      details: { field, cluster: theirs, node: ours },
    });
  }
}
