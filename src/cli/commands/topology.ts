import type { Command } from "commander";
import type { EmulatedRegion, NodeStatus } from "../../index.ts";
import { type AdminFlags, addAdminFlag, addExamples, type Cli } from "../cli.ts";
import { counted } from "../output.ts";
import { statusesOf } from "../regions.ts";

export function addTopology(program: Command, cli: Cli): void {
  const command = program
    .command("topology")
    .description("say which regions there are, how far apart, which one is lost, and which one leads what");
  addAdminFlag(command).action((flags: AdminFlags) => topology(cli, flags));
  addExamples(command, "meridian topology", "meridian topology --json");
}

async function topology(cli: Cli, flags: AdminFlags): Promise<void> {
  const output = cli.open(flags);
  const { regions, coordinator, leaseTtlMs } = await cli.withAdmin(flags, (admin) => admin.regions());
  const statuses = await statusesOf(cli.context.connectAdmin, regions);
  for (const region of regions) {
    const status = statuses.get(region.region);
    await output.result(regionLine(region, status), { report: "region", ...region, shards: status?.shards ?? [] });
  }
  const human = `the coordinator answers from ${coordinator}; leases last ${leaseTtlMs / 1000} s`;
  await output.result(human, { report: "coordinator", coordinator, leaseTtlMs });
}

function regionLine(facts: EmulatedRegion, status: NodeStatus | undefined): string {
  const { region, admin, routes, lost, partitionedFrom, skewMs, replicaBehind } = facts;
  const away = routes.filter((route) => route.region !== region).map((route) => `${route.region} ${route.rttMs} ms`);
  const parts = [
    ...(lost ? ["LOST"] : []),
    ...(partitionedFrom.length > 0 ? [`CUT OFF from ${partitionedFrom.join(", ")}`] : []),
    ...(skewMs === 0 ? [] : [`clock wrong by ${skewMs} ms`]),
    ...(replicaBehind ? ["its replica is behind"] : []),
    `leads ${counted(status?.shards.length ?? 0, "shard")}`,
    ...(away.length > 0 ? [`away from ${away.join(", ")}`] : []),
    `operators ${admin}`,
  ];
  return `${region}: ${parts.join("; ")}`;
}
