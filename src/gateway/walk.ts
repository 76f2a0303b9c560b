import type { Follower } from "../feed/follower.ts";
import { upTo } from "../feed/recent.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import type { Hash } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Batch } from "../log/batch.ts";
import type { Gateway } from "./gateway.ts";

const READ_AGAIN = { firstMs: 50, maxMs: 5_000 };

type WalkGateway = Pick<Gateway, "pages" | "clock" | "random" | "telemetry">;

/**
 * A place in one conversation that moves on by pulling: what comes after it is taken from the follower's memory, or else
 * from the log. Since the place is all that is kept, there is nothing to lose between the log and the live feed, and
 * nothing to fill up. Each step must chain on to the one before; if it does not, the conversation has forked.
 */
export class Walk {
  readonly #gateway: WalkGateway;
  readonly #follower: Follower;
  readonly #signal: AbortSignal;
  #position: number;
  /** The chain hash at the place, once a step was taken: a place in the middle of a batch has none. */
  #hash: Hash | undefined;

  /** The follower must have a head. The walk begins after seq `after`. */
  constructor(gateway: WalkGateway, follower: Follower, after: number, signal: AbortSignal) {
    this.#gateway = gateway;
    this.#follower = follower;
    this.#signal = signal;
    this.#position = after;
  }

  /** The last seq taken. */
  get position(): number {
    return this.#position;
  }

  /** Whether more is committed. Throws CORRUPT after a fork. */
  get behind(): boolean {
    this.#follower.check();
    return (this.#follower.head?.seq ?? 0) > this.#position;
  }

  /** The next batches if they are in memory, else none: the log may have them. Throws CORRUPT. */
  takeRecent(limitBytes: number): readonly Batch[] {
    if (!this.behind || this.#signal.aborted) return [];
    return this.#step(this.#follower.recent(this.#position + 1, limitBytes) ?? []);
  }

  /**
   * The next batches, up to `limitBytes` but at least one; the first holds the seq after the position, and may begin before
   * it. Empty if there is nothing yet, or the signal is aborted. Throws the log's error after several tries, and CORRUPT.
   */
  async take(limitBytes: number): Promise<readonly Batch[]> {
    for (let tries = 0; this.behind && !this.#signal.aborted; tries += 1) {
      const recent = this.takeRecent(limitBytes);
      if (recent.length > 0) return recent;
      const page = await this.#read(limitBytes, tries);
      this.#follower.check();
      if (page !== undefined && !this.#signal.aborted) return this.#step(upTo(limitBytes, page));
    }
    return [];
  }

  /** A page of the log, or undefined after a pause if it could not be read this time. */
  async #read(limitBytes: number, tries: number): Promise<readonly Batch[] | undefined> {
    const { pages, clock, random, telemetry } = this.#gateway;
    const { conversation, head } = this.#follower;
    if (head === undefined) return undefined;
    try {
      telemetry.count("reader.pages");
      return await pages.read(conversation, this.#position, head, limitBytes);
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      if (error.details.otherHash !== undefined) throw this.#follower.condemn(Number(error.details.seq), error.message);
      if (error.retry === "never" || tries + 1 >= LIMITS.readTries) throw error;
      telemetry.log("warn", "reader.page_failed", {
        conversation,
        after: this.#position,
        code: error.code,
        error: error.message,
      });
      await sleep(clock, backoffMs(tries, READ_AGAIN, random.u32()), this.#signal);
      return undefined;
    }
  }

  #step(batches: readonly Batch[]): readonly Batch[] {
    const first = batches[0];
    const last = batches.at(-1);
    if (first === undefined || last === undefined) return [];
    if (this.#hash !== undefined && (first.firstSeq !== this.#position + 1 || first.prevHash !== this.#hash)) {
      throw this.#follower.condemn(this.#position, "what follows does not chain on to what was delivered");
    }
    this.#position = last.lastSeq;
    this.#hash = last.hash;
    return batches;
  }
}
