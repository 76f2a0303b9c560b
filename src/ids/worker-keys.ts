import { MeridianError } from "../kernel/errors.ts";
import { withDeadline } from "../kernel/timing.ts";
import { keys } from "../membership/keys.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator, KeyValue, Txn, TxnAnswer } from "../ports/coordinator.ts";

export const WORKERS_PREFIX = `${keys.prefix}workers/`;

/** Lives on its holder's lease: who has the number now. */
export function claimKey(worker: number): string {
  return `${WORKERS_PREFIX}${worker}`;
}

/** Lives for ever: up to which time ids of the number may exist. */
export function fenceKey(worker: number): string {
  return `${WORKERS_PREFIX}${worker}/fence`;
}

/** The worker number and the kind of one of these keys; undefined for a key of another shape. */
export function parseWorkerKey(key: string): { readonly worker: number; readonly kind: "claim" | "fence" } | undefined {
  const match = /^(0|[1-9]\d{0,9})(\/fence)?$/.exec(key.slice(WORKERS_PREFIX.length));
  if (match === null || !key.startsWith(WORKERS_PREFIX)) return undefined;
  return { worker: Number(match[1]), kind: match[2] === undefined ? "claim" : "fence" };
}

/** `attempt` tells apart the claims that one process tried: a late one is then not taken for a later one. */
export interface ClaimValue {
  readonly node: string;
  readonly attempt: string;
}

/** No id of this number has a time above `untilMs` (UTC). `process` is a random number of the process that stored it. */
export interface FenceValue {
  readonly untilMs: number;
  readonly process: string;
}

export function encodeValue(value: ClaimValue | FenceValue): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A fence that cannot be read could stand anywhere: it counts as infinite, and nobody takes its number. */
export function fenceUntilMs(value: Uint8Array): number {
  try {
    const fence: unknown = JSON.parse(new TextDecoder().decode(value));
    const untilMs = typeof fence === "object" && fence !== null && "untilMs" in fence ? fence.untilMs : undefined;
    return Number.isSafeInteger(untilMs) ? (untilMs as number) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** The one key of each of the first ranges of an answer; undefined where it does not exist. */
export function onlyKeys(answer: Extract<TxnAnswer, { header: unknown }>): readonly (KeyValue | undefined)[] {
  return answer.ranges.map((range) => range.kvs[0]);
}

const CALL_MS = 2_000;

/** A transaction with a deadline: past it the outcome is unknown, as after any other lost answer. */
export async function ask(coordinator: Coordinator, clock: Clock, txn: Txn): Promise<TxnAnswer> {
  try {
    return await withDeadline(clock, CALL_MS, "a transaction about worker numbers", coordinator.txn(txn));
  } catch (error) {
    if (error instanceof MeridianError && error.code === "UNAVAILABLE") return { status: "unknown", cause: error };
    throw error;
  }
}
