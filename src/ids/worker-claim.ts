import { MeridianError } from "../kernel/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator, KeyValue, LeaseId, Range } from "../ports/coordinator.ts";
import type { Random } from "../ports/random.ts";
import {
  ask,
  type ClaimValue,
  claimKey,
  encodeValue,
  fenceKey,
  fenceUntilMs,
  onlyKeys,
  parseWorkerKey,
  sameBytes,
  WORKERS_PREFIX,
} from "./worker-keys.ts";

/** A worker number in our name: the claim is this key at this revision. */
export interface WorkerClaim {
  readonly worker: number;
  readonly lease: LeaseId;
  readonly revision: number;
  /** The fence that the number was chosen by: ids of former holders have times up to `untilMs`. */
  readonly fence: StoredFence;
}

export interface StoredFence {
  /** 0: there is none. */
  readonly revision: number;
  readonly untilMs: number;
}

export interface ClaimOptions {
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly random: Random;
  /** The holder's name, for people who look at the keys. */
  readonly node: string;
  /** How many worker numbers there are. */
  readonly workers: number;
}

const PAGE_KEYS = 1_000;
/** Nodes that start together choose the same numbers now and then; each collision has a winner. */
const TRIES = 16;

/**
 * Claims a free worker number on the lease: the one with the lowest fence, which is most surely below the clock, and of
 * equal ones (numbers that nobody ever had) any. Undefined: not now, try again after a pause. Throws UNAVAILABLE when no
 * number is free, CLOCK_UNSYNCED when all free ones are fenced above `startMsMax`.
 */
export async function claimWorker(options: ClaimOptions, lease: LeaseId, startMsMax: number): Promise<WorkerClaim | undefined> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const numbers = await readNumbers(options);
    if (numbers === undefined) return undefined;
    const chosen = choose(options, numbers, startMsMax);
    const claim = await tryClaim(options, lease, chosen);
    if (claim !== "taken") return claim;
  }
  return undefined;
}

interface Numbers {
  readonly held: ReadonlySet<number>;
  readonly fences: ReadonlyMap<number, StoredFence>;
}

interface Candidate {
  readonly worker: number;
  readonly fence: StoredFence;
}

/** Pages of different moments do no harm: the claim's guards see to it that the choice still holds. */
async function readNumbers({ coordinator, clock }: ClaimOptions): Promise<Numbers | undefined> {
  const held = new Set<number>();
  const fences = new Map<number, StoredFence>();
  for (let after: string | undefined; ; ) {
    const range: Range = { prefix: WORKERS_PREFIX, limit: PAGE_KEYS, ...(after === undefined ? {} : { after }) };
    const answer = await ask(coordinator, clock, { ranges: [range] });
    if (answer.status !== "applied") return undefined;
    const page = answer.ranges[0];
    for (const { key, value, modRevision } of page?.kvs ?? []) {
      const parsed = parseWorkerKey(key);
      if (parsed?.kind === "claim") held.add(parsed.worker);
      if (parsed?.kind === "fence") fences.set(parsed.worker, { revision: modRevision, untilMs: fenceUntilMs(value) });
    }
    after = page?.kvs.at(-1)?.key;
    if (page?.more !== true || after === undefined) return { held, fences };
  }
}

function choose({ random, workers }: ClaimOptions, { held, fences }: Numbers, startMsMax: number): Candidate {
  let lowest: Candidate[] = [];
  for (let worker = 0; worker < workers; worker += 1) {
    if (held.has(worker)) continue;
    const fence = fences.get(worker) ?? { revision: 0, untilMs: 0 };
    const lowestMs = lowest[0]?.fence.untilMs ?? Number.POSITIVE_INFINITY;
    if (fence.untilMs < lowestMs) lowest = [{ worker, fence }];
    else if (fence.untilMs === lowestMs && Number.isFinite(lowestMs)) lowest.push({ worker, fence });
  }
  const chosen = lowest[random.u32() % Math.max(1, lowest.length)];
  if (chosen === undefined) {
    throw new MeridianError("UNAVAILABLE", `all ${workers} worker numbers for ids are taken`, {
      advice: "Stop nodes that are not needed, or wait until the leases of nodes that died have ended.",
    });
  }
  if (chosen.fence.untilMs >= startMsMax) {
    throw new MeridianError("CLOCK_UNSYNCED", "ids of every free worker number may exist that lie in this clock's future", {
      advice: "The node's clock is far behind, or was far ahead before: check its time source.",
      details: { fenceMs: String(chosen.fence.untilMs) },
    });
  }
  return chosen;
}

async function tryClaim(options: ClaimOptions, lease: LeaseId, chosen: Candidate): Promise<WorkerClaim | "taken" | undefined> {
  const { coordinator, clock, random, node } = options;
  const key = claimKey(chosen.worker);
  const attempt: ClaimValue = { node, attempt: Buffer.from(random.bytes(8)).toString("hex") };
  const value = encodeValue(attempt);
  const ranges = [{ key }];
  const answer = await ask(coordinator, clock, {
    guards: [
      { key, modRevision: 0 },
      { key: fenceKey(chosen.worker), modRevision: chosen.fence.revision },
    ],
    puts: [{ key, value, lease }],
    ranges,
  });
  const claimed = (kv: KeyValue | undefined): WorkerClaim | undefined =>
    kv !== undefined && sameBytes(kv.value, value) ? { ...chosen, lease, revision: kv.modRevision } : undefined;
  switch (answer.status) {
    case "applied":
      return claimed(onlyKeys(answer)[0]);
    case "guard-failed":
      return "taken";
    case "not-applied":
      return undefined;
    case "unknown": {
      // If it lands only after this read, the number stays taken until the lease ends, and nobody issues ids with it.
      const read = await ask(coordinator, clock, { ranges });
      return read.status === "applied" ? claimed(onlyKeys(read)[0]) : undefined;
    }
  }
}
