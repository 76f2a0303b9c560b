import { setTimeout as pass } from "node:timers/promises";
import type { EtcdCoordinator } from "../../src/adapters/etcd/coordinator.ts";
import { MeridianError } from "../../src/kernel/errors.ts";

/** What a load saw of one coordinator while it went on. */
export interface LoadReport {
  readonly applied: number;
  readonly unknown: number;
  /** Writes that were found to be there already: sent twice by somebody. Each key is written once. */
  readonly repeated: readonly string[];
  /** Applied writes that are not in the store, or not where the answer said. */
  readonly missing: readonly string[];
  /** Applied writes that the watch did not show, though it was begun again where it was cut. */
  readonly unseen: readonly string[];
  readonly watchesCut: number;
  /** The longest time without an applied write, in milliseconds. */
  readonly stallMs: number;
  readonly renewalsMissed: number;
  /** etcd said that the lease has ended. */
  readonly leaseLost: boolean;
}

const TTL_MS = 10_000;

/** Writes, watches and keeps a lease, as a node does, while `during` does harm. */
export async function loaded(coordinator: EtcdCoordinator, during: () => Promise<void>): Promise<LoadReport> {
  const over = new AbortController();
  const { revision } = await listed(coordinator);
  const writing = write(coordinator, over.signal);
  const renewing = renew(coordinator, over.signal);
  const watching = watch(coordinator, revision + 1, writing);
  await pass(500);
  try {
    await during();
  } finally {
    over.abort();
  }
  const [writes, lease] = await Promise.all([writing, renewing]);
  const { kvs } = await listed(coordinator);
  const found = new Map(kvs.map(({ key, modRevision }) => [key, modRevision]));
  const missing = [...writes.applied].filter(([key, revision]) => found.get(key) !== revision).map(([key]) => key);
  const watched = await watching;
  const unseen = [...found.keys()].filter((key) => !watched.seen.has(key));
  return { ...writes, applied: writes.applied.size, missing, unseen, watchesCut: watched.cuts, ...lease };
}

async function write(coordinator: EtcdCoordinator, signal: AbortSignal) {
  const applied = new Map<string, number>();
  const repeated: string[] = [];
  let unknown = 0;
  let stallMs = 0;
  let lastMs = performance.now();
  for (let at = 0; !signal.aborted; at++) {
    const key = `load/${String(at).padStart(6, "0")}`;
    const answer = await coordinator.txn({ guards: [{ key, modRevision: 0 }], puts: [{ key, value: Uint8Array.of(at) }] });
    if (answer.status === "applied") {
      applied.set(key, answer.header.revision);
      stallMs = Math.max(stallMs, performance.now() - lastMs);
      lastMs = performance.now();
    } else if (answer.status === "guard-failed") {
      repeated.push(key);
    } else {
      unknown += 1;
    }
    await pass(5);
  }
  return { applied, repeated, unknown, stallMs: Math.round(stallMs) };
}

async function renew(coordinator: EtcdCoordinator, signal: AbortSignal) {
  const { lease } = await coordinator.grant(TTL_MS);
  let renewalsMissed = 0;
  let leaseLost = false;
  while (!signal.aborted) {
    try {
      leaseLost ||= (await coordinator.renew(lease)).ttlMs === 0;
    } catch (error) {
      if (MeridianError.from(error).code !== "UNAVAILABLE") throw error;
      renewalsMissed += 1;
    }
    await pass(500);
  }
  return { renewalsMissed, leaseLost };
}

/** Ends once everything was shown that is there after the last write has its answer, or 10 s later. */
async function watch(coordinator: EtcdCoordinator, fromRevision: number, writing: Promise<unknown>) {
  const seen = new Set<string>();
  let cuts = 0;
  let cursor = fromRevision;
  let current: AsyncIterator<unknown> | undefined;
  const ended = (async () => {
    await writing;
    const { kvs } = await listed(coordinator);
    for (let tries = 0; tries < 200 && kvs.some(({ key }) => !seen.has(key)); tries++) await pass(50);
    await current?.return?.();
    return "ended" as const;
  })();
  let isOver = false;
  void ended.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const answers = coordinator.watch("load/", cursor)[Symbol.asyncIterator]();
    current = answers;
    try {
      for (let step = await answers.next(); step.done !== true; step = await answers.next()) {
        for (const event of step.value.events) {
          if (event.type !== "put") continue;
          seen.add(event.kv.key);
          cursor = event.kv.modRevision;
        }
      }
    } catch (error) {
      if (MeridianError.from(error).code !== "UNAVAILABLE") throw error;
      cuts += 1;
      await pass(50);
    }
  }
  await ended;
  return { seen, cuts };
}

/** All keys of the load. Asks until it is answered. */
async function listed(coordinator: EtcdCoordinator) {
  for (;;) {
    const answer = await coordinator.txn({ ranges: [{ prefix: "load/", limit: 100_000 }] });
    if (answer.status === "applied") return { kvs: answer.ranges[0]?.kvs ?? [], revision: answer.header.revision };
    await pass(50);
  }
}
