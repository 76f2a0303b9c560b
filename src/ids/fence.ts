/**
 * The fence of one worker number, moved ahead by its holder.
 *
 * A holder must never believe in a fence that is not stored (its ids could come again after it), and must never go on
 * beside another holder. Both are decided by the guards: each move needs the holder's claim *and* the fence as this holder
 * last knew it. A move that the guards refuse means that somebody else wrote, so this holder is at its end; to look whose
 * number stands there and to go on would let two copies of one process go on side by side.
 *
 * The only move that is decided by reading is one whose answer was lost. It may land at any later time, so it is not
 * replaced by another: the same bytes are sent again until either the value stored is exactly these bytes, or the guards
 * have refused it with another value in place.
 */

import { invariant } from "../kernel/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator, KeyValue } from "../ports/coordinator.ts";
import type { WorkerClaim } from "./worker-claim.ts";
import { ask, claimKey, encodeValue, fenceKey, onlyKeys, sameBytes } from "./worker-keys.ts";

export interface FenceOptions {
  readonly claim: WorkerClaim;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  /** A random number of this process. */
  readonly process: string;
}

/** again: nothing is decided, ask once more after a pause. ended: the worker number is no longer ours. */
export type FenceMove = "stored" | "again" | "ended";

interface Sent {
  readonly untilMs: number;
  readonly value: Uint8Array;
  /** An answer was lost, so this move may land at any time. */
  doubtful: boolean;
}

export class Fence {
  readonly #options: FenceOptions;
  #revision: number;
  #untilMs: number | undefined;
  #sent: Sent | undefined;

  constructor(options: FenceOptions) {
    this.#options = options;
    this.#revision = options.claim.fence.revision;
  }

  /** The fence that is known to be stored by this holder; undefined before the first. */
  get untilMs(): number | undefined {
    return this.#untilMs;
  }

  /** Stores the fence at `untilMs` (UTC), or an earlier move that is still in doubt. */
  async move(untilMs: number): Promise<FenceMove> {
    const { claim, coordinator, clock, process } = this.#options;
    invariant(untilMs > (this.#untilMs ?? claim.fence.untilMs), "a fence only moves ahead");
    this.#sent ??= { untilMs, value: encodeValue({ untilMs, process }), doubtful: false };
    const sent = this.#sent;
    const keys = { claim: claimKey(claim.worker), fence: fenceKey(claim.worker) };
    const ranges = [{ key: keys.claim }, { key: keys.fence }];
    const answer = await ask(coordinator, clock, {
      guards: [
        { key: keys.claim, modRevision: claim.revision },
        { key: keys.fence, modRevision: this.#revision },
      ],
      puts: [{ key: keys.fence, value: sent.value }],
      ranges,
    });
    switch (answer.status) {
      case "applied":
        return this.#decide(sent, onlyKeys(answer));
      case "guard-failed":
        return sent.doubtful ? this.#decide(sent, onlyKeys(answer)) : "ended";
      case "not-applied":
        if (!sent.doubtful) this.#sent = undefined;
        return "again";
      case "unknown": {
        sent.doubtful = true;
        const read = await ask(coordinator, clock, { ranges });
        return read.status === "applied" ? this.#decide(sent, onlyKeys(read)) : "again";
      }
    }
  }

  #decide(sent: Sent, [claimKv, fenceKv]: readonly (KeyValue | undefined)[]): FenceMove {
    if (claimKv?.modRevision !== this.#options.claim.revision) return "ended";
    if (fenceKv !== undefined && sameBytes(fenceKv.value, sent.value)) {
      this.#revision = fenceKv.modRevision;
      this.#untilMs = sent.untilMs;
      this.#sent = undefined;
      return "stored";
    }
    return (fenceKv?.modRevision ?? 0) === this.#revision ? "again" : "ended";
  }
}
