import type { AdminClient, EmulatedRegions, NodeStatus } from "../../index.ts";
import { MeridianError } from "../../kernel/errors.ts";

/** What can lose a region and bring it back. */
export interface Breaker {
  kill(region: string): Promise<void>;
  restore(region: string): Promise<void>;
  /** Whether the region is back and its replica lacks nothing that another one has. */
  isWhole(region: string): Promise<boolean>;
  /** Where the node of this name stands; undefined if it is not known. */
  regionOf(node: string): string | undefined;
}

/** Breaks the regions of one process through its operators' address. */
export class EmulationBreaker implements Breaker {
  readonly #admin: AdminClient;
  readonly #regions: ReadonlyMap<string, string>;

  /** `statuses` are those of the regions' nodes. Throws INVALID_ARGUMENT if a region is broken already. */
  constructor(admin: AdminClient, { regions }: EmulatedRegions, statuses: ReadonlyMap<string, NodeStatus>) {
    const broken = regions.find(({ lost, partitionedFrom }) => lost || partitionedFrom.length > 0);
    if (broken !== undefined) {
      throw new MeridianError("INVALID_ARGUMENT", `${broken.region} is lost or cut off already`, {
        advice: `Restore it first: meridian chaos restore ${broken.region}`,
      });
    }
    this.#admin = admin;
    this.#regions = new Map([...statuses.values()].map(({ node, region }) => [node, region]));
  }

  kill(region: string): Promise<void> {
    return this.#admin.injectFault({ kind: "kill", region });
  }

  restore(region: string): Promise<void> {
    return this.#admin.injectFault({ kind: "restore", region });
  }

  async isWhole(name: string): Promise<boolean> {
    const { regions } = await this.#admin.regions();
    return regions.some(({ region, lost, replicaBehind }) => region === name && !lost && !replicaBehind);
  }

  regionOf(node: string): string | undefined {
    return this.#regions.get(node);
  }
}
