import { MeridianError } from "../../kernel/errors.ts";

/** What is older gets no fixes any more; 3.4 still lets a former leader that wakes up end leases which its successor keeps. */
const OLDEST = [3, 5, 0];

/** Up to here a member that was killed may come back with other data than the rest. */
const FIRST_SOUND = [3, 5, 3];

/** Throws INVALID_ARGUMENT for what is too old; answers whether the version is to be warned of. */
export function checkVersion(address: string, version: string): "sound" | "unsound" {
  const parts = version.split(/[.-]/, 3).map(Number);
  if (isBefore(parts, OLDEST)) {
    throw new MeridianError("INVALID_ARGUMENT", `etcd at ${address} is version ${version}; ${OLDEST.join(".")} is needed`, {
      advice: "Upgrade etcd, one minor version at a time; 3.6 is best.",
    });
  }
  return isBefore(parts, FIRST_SOUND) ? "unsound" : "sound";
}

function isBefore(version: readonly number[], other: readonly number[]): boolean {
  const at = other.findIndex((part, index) => version[index] !== part);
  return at >= 0 && (version[at] ?? 0) < (other[at] as number);
}
