import type { ReportLine } from "../../verify/report.ts";
import { counted } from "../output.ts";
import type { DrillReport } from "./drill.ts";

/** Missing messages that are named; the others are counted. */
const NAMED_MAX = 20;

/** Whether the drill kept its bounds and did what it was to do. */
export function isPassed({ missing, rtoMs, rtoBoundMs, problems }: DrillReport): boolean {
  return missing.length === 0 && rtoMs !== undefined && rtoMs <= rtoBoundMs && problems.length === 0;
}

/** The drill, a line for each thing that was measured. */
export function* drillSummary(report: DrillReport): Generator<ReportLine, void, undefined> {
  const { region, conversations, inFlight, counts } = report;
  yield {
    human: `lost ${region}, which led ${counted(conversations, "conversation")}, with ${counted(inFlight, "send")} in flight`,
    facts: { report: "loss", region, conversations, inFlight },
  };
  yield rpo(report);
  yield rto(report);
  yield gaps(report);
  yield back(report);
  const ends = Object.entries(counts).map(([status, count]) => `${count.toLocaleString("en-US")} ${status}`);
  yield { human: `all sends: ${ends.join(", ")}`, facts: { report: "sends", ...counts } };
  for (const problem of report.problems) yield { human: `PROBLEM: ${problem}`, facts: { report: "problem", problem } };
  yield { human: isPassed(report) ? "passed" : "NOT PASSED", facts: { report: "verdict", passed: isPassed(report) } };
}

function rpo({ missing, acknowledged }: DrillReport): ReportLine {
  const named = missing.length === 0 ? "" : `: ${missing.slice(0, NAMED_MAX).join(", ")}`;
  const verdict = missing.length === 0 ? "holds" : "IS BROKEN";
  return {
    human: `RPO ${verdict}: ${missing.length} of ${counted(acknowledged, "acknowledged message")} missing (bound 0)${named}`,
    facts: { report: "rpo", missing: missing.length, acknowledged, bound: 0, named: missing.slice(0, NAMED_MAX) },
  };
}

function rto({ rtoMs, rtoBoundMs, conversations }: DrillReport): ReportLine {
  const verdict = rtoMs !== undefined && rtoMs <= rtoBoundMs ? "holds" : "IS BROKEN";
  const worst = rtoMs === undefined ? "a conversation did not go on" : seconds(rtoMs);
  return {
    human: `RTO ${verdict}: ${worst}, the worst of ${counted(conversations, "conversation")} (bound ${seconds(rtoBoundMs)})`,
    facts: { report: "rto", rtoMs: rtoMs ?? null, boundMs: rtoBoundMs },
  };
}

function gaps({ deliveryGapMs }: DrillReport): ReportLine {
  const each = Object.entries(deliveryGapMs).map(([region, ms]) => `${region} ${seconds(ms)}`);
  return {
    human: `readers were handed nothing for at most: ${each.join(", ")}`,
    facts: { report: "delivery-gap", ms: deliveryGapMs },
  };
}

function back({ region, restoredMs, healedMs, handedBackMs, handBackStallMs }: DrillReport): ReportLine {
  const healed = healedMs === undefined ? "its replica still lacks something" : `its replica whole ${seconds(healedMs)} later`;
  const leads = handedBackMs === undefined ? "it does not lead again" : `leading again ${seconds(handedBackMs)} later`;
  return {
    human: `${region} restored after ${seconds(restoredMs)}: ${healed}, ${leads}; longest stall meanwhile ${seconds(handBackStallMs)}`,
    facts: {
      report: "restored",
      restoredMs,
      healedMs: healedMs ?? null,
      handedBackMs: handedBackMs ?? null,
      stallMs: handBackStallMs,
    },
  };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
