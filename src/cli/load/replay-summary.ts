import type { ReportLine } from "../../verify/report.ts";
import { counted } from "../output.ts";
import { type ChatScript, nicksIn } from "./chat-script.ts";
import type { Latencies } from "./latencies.ts";
import type { KillReport } from "./leader-kills.ts";
import type { Replay } from "./replay.ts";

/** What became of a replay, line by line: the sends, their speed, each region, each kill, and what went wrong. */
export function* replaySummary(replay: Replay, scripts: readonly ChatScript[]): Generator<ReportLine, void, undefined> {
  yield sends(replay, scripts);
  yield speed(replay);
  for (const [region, delivered] of replay.tally.deliveries) {
    yield {
      human: `${region}: ${counted(delivered.count, "message")} delivered within ${inQuantiles(delivered)}`,
      facts: { report: "region", region, delivered: delivered.count, ...quantiles(delivered) },
    };
  }
  for (const report of replay.kills?.reports ?? []) yield kill(report);
  for (const behind of replay.behind) yield { human: `NOT ALL READ: ${behind}`, facts: { report: "behind", behind } };
}

function sends({ tally, messages }: Replay, scripts: readonly ChatScript[]): ReportLine {
  const { committed, rejected, expired, unknown } = tally.counts;
  const skipped = scripts.reduce((sum, script) => sum + script.skipped, 0);
  const nicks = nicksIn(scripts);
  const unsent = messages - committed - rejected - expired - unknown;
  const said = `${amount(committed)} of ${counted(messages, "message")} by ${counted(nicks, "nick")}`;
  const where = `in ${counted(scripts.length, "conversation")}`;
  const others = { rejected, expired, unknown, "not sent": unsent, "other lines skipped": skipped };
  const rest = Object.entries(others).map(([what, count]) => `${amount(count)} ${what}`);
  return {
    human: `committed ${said} ${where}; ${rest.join(", ")}`,
    facts: {
      report: "sends",
      messages,
      committed,
      rejected,
      expired,
      unknown,
      unsent,
      skipped,
      nicks,
      conversations: scripts.length,
    },
  };
}

function speed({ tally, tookMs }: Replay): ReportLine {
  const perSecond = tookMs > 0 ? Math.round(tally.counts.committed / (tookMs / 1000)) : 0;
  return {
    human: `${seconds(tookMs)}, ${amount(perSecond)} messages a second; acknowledged within ${inQuantiles(tally.acks)}`,
    facts: { report: "speed", tookMs: Math.round(tookMs), perSecond, ...quantiles(tally.acks) },
  };
}

function kill(report: KillReport): ReportLine {
  const { atPercent, region, conversations, inFlight, ledElsewhereMs, restoredMs, problem } = report;
  const lost = `lost ${region} at ${atPercent} % with ${counted(inFlight, "send")} in flight`;
  const then = `${counted(conversations, "conversation")} led elsewhere after ${seconds(ledElsewhereMs)}; restored after ${seconds(restoredMs)}`;
  return {
    human: problem === undefined ? `${lost}: ${then}` : `PROBLEM at ${atPercent} %: ${problem}`,
    facts: { report: "kill", ...report },
  };
}

function inQuantiles(latencies: Latencies): string {
  const { p50Ms, p99Ms } = quantiles(latencies);
  return `${amount(p50Ms)} ms (p50), ${amount(p99Ms)} ms (p99)`;
}

function quantiles(latencies: Latencies): { readonly p50Ms: number; readonly p99Ms: number } {
  return { p50Ms: Math.round(latencies.quantileMs(0.5)), p99Ms: Math.round(latencies.quantileMs(0.99)) };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function amount(count: number): string {
  return count.toLocaleString("en-US");
}
