import type { AdminClient, EmulatedRegion, EmulatedRegions, NodeStatus } from "../index.ts";
import { MeridianError } from "../kernel/errors.ts";

/** The addresses by which a client that lives in the region reaches the nodes, the nearest one first. Throws NOT_FOUND. */
export function routesOf({ regions }: EmulatedRegions, name: string): readonly string[] {
  return regionOf(regions, name).routes.map(({ address }) => address);
}

/** Throws NOT_FOUND. */
export function regionOf(regions: readonly EmulatedRegion[], name: string): EmulatedRegion {
  const found = regions.find(({ region }) => region === name);
  if (found !== undefined) return found;
  throw new MeridianError("NOT_FOUND", `there is no region ${JSON.stringify(name)}`, {
    advice: `The regions are ${regions.map(({ region }) => region).join(", ")}.`,
  });
}

/** How each region's node is, by region, lost ones included: operators reach them all the same. Throws as `status` does. */
export async function statusesOf(
  connectAdmin: (options: { readonly endpoint: string }) => AdminClient,
  regions: readonly EmulatedRegion[],
): Promise<ReadonlyMap<string, NodeStatus>> {
  const statuses = regions.map(async ({ region, admin: endpoint }) => {
    const admin = connectAdmin({ endpoint });
    try {
      return [region, await admin.status()] as const;
    } finally {
      admin.close();
    }
  });
  return new Map(await Promise.all(statuses));
}
