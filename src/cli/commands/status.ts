import type { Command } from "commander";
import type { NodeStatus } from "../../index.ts";
import { type AdminFlags, addAdminFlag, addExamples, type Cli } from "../cli.ts";
import { EXIT } from "../exit-code.ts";
import { counted } from "../output.ts";

export function addStatus(program: Command, cli: Cli): void {
  const command = program.command("status").description("say how a node is; exit code 3 if it does not serve");
  addAdminFlag(command).action(async (flags: AdminFlags) => {
    const output = cli.open(flags);
    const status = await cli.withAdmin(flags, (admin) => admin.status());
    await output.result(statusLine(status), status);
    if (!status.ready) cli.exitCode = EXIT.unavailable;
  });
  addExamples(command, "meridian status", "meridian status --admin 127.0.0.1:7422 --json");
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
