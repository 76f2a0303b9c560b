import { invariant } from "../kernel/errors.ts";

const REVISIONS = 2 ** 48;

/**
 * The fencing number of a leadership. It grows with every claim, transfer, move and new epoch, because each gives a key a
 * new mod revision; a restored coordinator begins again at low revisions, which the raised incarnation outweighs.
 */
export function epochOf(incarnation: number, modRevision: number): bigint {
  invariant(modRevision < REVISIONS, "the coordinator's revisions stay below 2^48");
  return BigInt(incarnation) * BigInt(REVISIONS) + BigInt(modRevision);
}
