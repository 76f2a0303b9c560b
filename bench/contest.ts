/**
 * Two that do the same work, measured in turns. A machine that others use too is slower by a factor of two from one minute
 * to the next, so a figure says little and the ratio of two figures of one round says what one wants to know.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { median, quantile } from "./statistics.ts";

export interface Contender {
  readonly name: string;
  /** Works for about so long; answers messages a second. */
  readonly run: (durationMs: number) => Promise<number>;
}

export interface Rates {
  readonly kind: "rates";
  readonly title: string;
  readonly subject: string;
  readonly bare: string;
  /** Messages a second. */
  readonly rounds: readonly { readonly subject: number; readonly bare: number }[];
  readonly ratio: { readonly median: number; readonly least: number; readonly most: number };
  /** The median ratio that is wanted. */
  readonly wanted: number | undefined;
  readonly isMet: boolean;
}

export interface Delays {
  readonly kind: "delays";
  readonly title: string;
  readonly subject: string;
  readonly bare: string;
  readonly times: number;
  /** Milliseconds. */
  readonly p50: { readonly subject: number; readonly bare: number };
  readonly p99: { readonly subject: number; readonly bare: number };
  /** By how many milliseconds the subject's p50 may be longer. */
  readonly wantedMs: number | undefined;
  readonly isMet: boolean;
}

/** A runtime compiles what it runs often: the first seconds are no measure of it. */
const WARM_UP_MS = 5_000;

/** What the one leaves for the log to tidy up shall not take the other's time. */
const SETTLE_MS = 2_000;

export interface RateContest {
  readonly title: string;
  readonly subject: Contender;
  readonly bare: Contender;
  readonly rounds: number;
  readonly durationMs: number;
  readonly wanted?: number;
}

export async function compareRates({ title, subject, bare, rounds, durationMs, wanted }: RateContest): Promise<Rates> {
  for (const each of [subject, bare]) await each.run(WARM_UP_MS);
  const results: { subject: number; bare: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const found = { subject: 0, bare: 0 };
    // Each goes first every other time: what comes second finds other caches and more to compact.
    const order = [["subject", subject] as const, ["bare", bare] as const];
    for (const [role, each] of round % 2 === 0 ? order : order.reverse()) {
      await sleep(SETTLE_MS);
      found[role] = await each.run(durationMs);
    }
    results.push(found);
  }
  const ratios = results.map((round) => round.subject / round.bare);
  const ratio = { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
  return {
    kind: "rates",
    title,
    subject: subject.name,
    bare: bare.name,
    rounds: results,
    ratio,
    wanted,
    isMet: wanted === undefined || ratio.median >= wanted,
  };
}

export interface DelayContest {
  readonly title: string;
  readonly subject: { readonly name: string; readonly once: () => Promise<unknown> };
  readonly bare: { readonly name: string; readonly once: () => Promise<unknown> };
  readonly times: number;
  readonly wantedMs?: number;
}

/** One at a time, in turns. */
export async function compareDelays({ title, subject, bare, times, wantedMs }: DelayContest): Promise<Delays> {
  const warmUp = Math.ceil(times / 10);
  const found = { subject: [] as number[], bare: [] as number[] };
  for (let turn = 0; turn < warmUp + times; turn++) {
    for (const [role, { once }] of [["subject", subject] as const, ["bare", bare] as const]) {
      const startedMs = performance.now();
      await once();
      if (turn >= warmUp) found[role].push(performance.now() - startedMs);
    }
  }
  const at = (share: number) => ({ subject: quantile(found.subject, share), bare: quantile(found.bare, share) });
  const p50 = at(0.5);
  return {
    kind: "delays",
    title,
    subject: subject.name,
    bare: bare.name,
    times,
    p50,
    p99: at(0.99),
    wantedMs,
    isMet: wantedMs === undefined || p50.subject <= p50.bare + wantedMs,
  };
}
