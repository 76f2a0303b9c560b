import type { EmulatedRegions } from "../../index.ts";
import type { ReportLine } from "../../verify/report.ts";
import type { DemoReport } from "./demo.ts";

/** What nodes and clients may add to the distances. */
const OWN_MS = 10;

/** Whether all readers were handed the same, and all that was said. */
export function isGood({ transcripts, problems }: DemoReport): boolean {
  const [first, ...others] = [...transcripts.values()].map((lines) => lines.join("\n"));
  return problems.length === 0 && others.every((other) => other === first);
}

/** What was measured, each beside what the distances allow. */
export function* demoFigures(report: DemoReport, { regions }: EmulatedRegions): Generator<ReportLine, void, undefined> {
  const { acks, deliveries, transcripts, stallMs, problems } = report;
  const routes = regions[0]?.routes ?? [];
  // Of all replicas the leader's own is the nearest one; a majority is complete with the one in the middle.
  const majorityMs = routes[Math.floor(routes.length / 2)]?.rttMs ?? 0;
  const ackMs = acks.quantileMs(0.5);
  yield {
    human: `acknowledged within ${ms(ackMs)} (p50 of ${acks.count}, leader near; distance ${ms(majorityMs)}, bound ${ms(majorityMs + OWN_MS)})`,
    facts: { report: "ack", p50Ms: ackMs, boundMs: majorityMs + OWN_MS, count: acks.count },
  };
  for (const { region, rttMs } of routes) {
    const distanceMs = majorityMs + rttMs / 2;
    const p50Ms = deliveries.get(region)?.quantileMs(0.5) ?? 0;
    yield {
      human: `delivered in ${region} within ${ms(p50Ms)} (p50; distance ${ms(distanceMs)}, bound ${ms(distanceMs + OWN_MS)})`,
      facts: { report: "delivery", region, p50Ms, boundMs: distanceMs + OWN_MS },
    };
  }
  yield {
    human: `the loss of the leading region was a silence of ${(stallMs / 1000).toFixed(1)} s`,
    facts: { report: "stall", stallMs },
  };
  for (const problem of problems) yield { human: `PROBLEM: ${problem}`, facts: { report: "problem", problem } };
  const lengths = [...transcripts].map(([region, lines]) => `${region} ${lines.length}`);
  const verdict = isGood(report) ? "the same transcript in every region" : "THE TRANSCRIPTS DIFFER or are not whole";
  yield { human: `${verdict}: ${lengths.join(", ")} messages`, facts: { report: "transcripts", same: isGood(report) } };
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
