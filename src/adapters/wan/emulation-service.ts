import { type EmulationService, Fault } from "../../gen/meridian/v1/emulation_pb.ts";
import { MeridianError } from "../../kernel/errors.ts";
import type { Handlers } from "../../ports/network.ts";
import type { Healer } from "./healer.ts";
import type { Links } from "./links.ts";
import type { Roads } from "./roads.ts";
import type { SkewedClock } from "./skewed-clock.ts";

const SKEW_MS_MAX = 24 * 3_600_000;

export interface EmulationOptions {
  readonly links: Links;
  readonly roads: Roads;
  readonly healer: Healer;
  /** By region. */
  readonly clocks: ReadonlyMap<string, SkewedClock>;
  /** Where operators reach a region's node. */
  readonly admin: (region: string) => string;
  readonly coordinator: string;
  readonly leaseTtlMs: number;
}

/** Shows the emulated regions to operators, and breaks and mends them at their word. */
export function createEmulationService(options: EmulationOptions): Handlers<typeof EmulationService> {
  const { links, roads, healer, clocks, admin, coordinator, leaseTtlMs } = options;
  const clockOf = (region: string) => clocks.get(region) as SkewedClock;
  return {
    async describeRegions() {
      const { lost, partitioned } = links.faults;
      const behind = healer.behind();
      const regions = links.regions.map((region) => ({
        region,
        admin: admin(region),
        routes: [...roads.routes(region)],
        lost: lost.includes(region),
        partitionedFrom: partitioned.flatMap(([a, b]) => (a === region ? [b] : b === region ? [a] : [])),
        skewMs: BigInt(clockOf(region).skewMs),
        replicaBehind: behind.includes(region),
      }));
      return { regions, coordinator, leaseTtlMs: BigInt(leaseTtlMs) };
    },

    async injectFault({ fault, region, skewMs }) {
      if (!links.regions.includes(region)) {
        const advice = `The regions are ${links.regions.join(", ")}.`;
        throw new MeridianError("NOT_FOUND", `there is no region ${JSON.stringify(region)}`, { advice });
      }
      const others = links.regions.filter((other) => other !== region);
      switch (fault) {
        case Fault.KILL:
          links.lose(region);
          break;
        case Fault.PARTITION:
          for (const other of others) links.partition(region, other);
          break;
        case Fault.SKEW:
          if (skewMs < -SKEW_MS_MAX || skewMs > SKEW_MS_MAX) {
            throw new MeridianError("INVALID_ARGUMENT", `a clock is put wrong by a day at most, not by ${skewMs} ms`);
          }
          clockOf(region).skewMs = Number(skewMs);
          break;
        case Fault.RESTORE:
          for (const other of others) links.restorePair(region, other);
          links.restoreRegion(region);
          clockOf(region).skewMs = 0;
          break;
        default:
          throw new MeridianError("INVALID_ARGUMENT", "name a fault: kill, partition, skew or restore");
      }
      return {};
    },
  };
}
