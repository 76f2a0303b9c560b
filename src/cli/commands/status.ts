import type { Command } from "commander";
import type { NodeStatus } from "../../index.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { type AdminFlags, addAdminFlag, addExamples, addNodesFlag, type Cli } from "../cli.ts";
import { EXIT } from "../exit-code.ts";
import { counted } from "../output.ts";

interface StatusFlags extends AdminFlags {
  readonly config?: readonly string[];
}

export function addStatus(program: Command, cli: Cli): void {
  const command = program
    .command("status")
    .description("say how a node is, or each of a cluster's; exit code 3 if one does not serve");
  addNodesFlag(addAdminFlag(command)).action((flags: StatusFlags) => status(cli, flags));
  addExamples(
    command,
    "meridian status",
    "meridian status --admin 127.0.0.1:7422 --json",
    "meridian status --config regions/local",
  );
}

async function status(cli: Cli, flags: StatusFlags): Promise<void> {
  cli.open(flags);
  const cluster = cli.clusterOf(flags);
  if (cluster === undefined) return tell(cli, flags);
  for (const { adminListen } of cluster.nodes) {
    try {
      await tell(cli, { admin: adminListen });
    } catch (thrown) {
      // The others are what somebody wants to know who asks while a node is gone.
      const error = MeridianError.from(thrown);
      if (error.code !== "UNAVAILABLE") throw error;
      cli.output.error(error);
      cli.endWith(EXIT.unavailable);
    }
  }
}

async function tell(cli: Cli, flags: AdminFlags): Promise<void> {
  const found = await cli.withAdmin(flags, (admin) => admin.status());
  await cli.output.result(statusLine(found), found);
  if (!found.ready) cli.endWith(EXIT.unavailable);
}

function statusLine(status: NodeStatus): string {
  const { node, region, version, ready, reasons, uptimeMs, leaseLeftMs, worker, clockErrorMs, shards } = status;
  const facts = [
    ready ? "ready" : `NOT READY (${reasons.join("; ")})`,
    `up ${duration(uptimeMs)}`,
    leaseLeftMs > 0 ? `lease ${(leaseLeftMs / 1000).toFixed(1)} s` : "no lease",
    worker === undefined ? "no worker number" : `worker ${worker}`,
    clockErrorMs === undefined ? "clock not synchronised" : `clock ±${clockErrorMs} ms`,
    counted(shards.length, "shard"),
    counted(status.conversations, "conversation"),
    counted(status.sessions, "session"),
  ];
  return `${node} in ${region} (${version}): ${facts.join(", ")}`;
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}
