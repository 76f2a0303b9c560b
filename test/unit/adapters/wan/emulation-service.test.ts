import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createEmulationService } from "../../../../src/adapters/wan/emulation-service.ts";
import type { Healer } from "../../../../src/adapters/wan/healer.ts";
import type { Roads } from "../../../../src/adapters/wan/roads.ts";
import { SkewedClock } from "../../../../src/adapters/wan/skewed-clock.ts";
import { DescribeRegionsRequestSchema, Fault, InjectFaultRequestSchema } from "../../../../src/gen/meridian/v1/emulation_pb.ts";
import type { CallContext } from "../../../../src/ports/network.ts";
import { REGIONS, ThreeRegions } from "./three-regions.ts";

const call = {} as CallContext;

function setUp() {
  const { links, clock } = new ThreeRegions();
  const clocks = new Map(REGIONS.map((region) => [region as string, new SkewedClock(clock)]));
  const service = createEmulationService({
    links,
    clocks,
    roads: { routes: (from: string) => [{ region: from, address: `door of ${from}`, rttMs: 0 }] } as unknown as Roads,
    healer: { behind: () => ["ap"] } as unknown as Healer,
    admin: (region) => `admin of ${region}`,
    coordinator: "eu",
    leaseTtlMs: 3_000,
  });
  const inject = (fault: Fault, region: string, skewMs = 0n) =>
    service.injectFault(create(InjectFaultRequestSchema, { fault, region, skewMs }), call);
  const describeAll = async () => service.describeRegions(create(DescribeRegionsRequestSchema), call);
  const faultsOf = async (region: string) => {
    const one = (await describeAll()).regions?.find((found) => found.region === region);
    return { lost: one?.lost, partitionedFrom: one?.partitionedFrom, skewMs: one?.skewMs };
  };
  return { links, clock, clocks, inject, describeAll, faultsOf };
}

const WELL = { lost: false, partitionedFrom: [], skewMs: 0n };

describe("the service that breaks regions", () => {
  it("describes every region, and how its clients reach the nodes", async () => {
    const { describeAll } = setUp();
    const { regions, coordinator, leaseTtlMs } = await describeAll();
    expect({ coordinator, leaseTtlMs }).toEqual({ coordinator: "eu", leaseTtlMs: 3_000n });
    expect(regions?.map(({ region }) => region)).toEqual(["us", "eu", "ap"]);
    expect(regions?.[2]).toMatchObject({
      admin: "admin of ap",
      routes: [{ address: "door of ap" }],
      replicaBehind: true,
      ...WELL,
    });
  });

  it("kills, partitions and skews a region, and mends all of it at once", async () => {
    const { links, clock, clocks, inject, faultsOf } = setUp();
    await inject(Fault.KILL, "us");
    await inject(Fault.PARTITION, "us");
    await inject(Fault.SKEW, "us", -5_000n);
    expect(links.faults).toEqual({
      lost: ["us"],
      partitioned: [
        ["us", "eu"],
        ["us", "ap"],
      ],
    });
    expect(await faultsOf("us")).toEqual({ lost: true, partitionedFrom: ["eu", "ap"], skewMs: -5_000n });
    expect((clocks.get("us")?.wallMs() ?? 0) - clock.wallMs()).toBe(-5_000);
    expect(await faultsOf("eu")).toEqual({ ...WELL, partitionedFrom: ["us"] });
    await inject(Fault.RESTORE, "us");
    expect(await faultsOf("us")).toEqual(WELL);
    expect(links.faults).toEqual({ lost: [], partitioned: [] });
  });

  it("refuses what there is not, with what there is", async () => {
    const { inject } = setUp();
    await expect(inject(Fault.KILL, "mars")).rejects.toMatchObject({
      code: "NOT_FOUND",
      advice: expect.stringContaining("us, eu"),
    });
    await expect(inject(Fault.UNSPECIFIED, "us")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(inject(Fault.SKEW, "us", 86_400_001n)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
