/**
 * The node's lease, as far as this node may believe in it.
 *
 * etcd ends a lease some time after its TTL, never before, and only then another node can claim what stood on it. So a
 * node that stops leading a margin *earlier* by its own clock never overlaps with the next. Everything here serves that
 * one sentence. Tempting, and wrong:
 *
 * - counting from when the answer came: the server counted from when the request arrived;
 * - believing the answer alone: a deposed etcd leader goes on answering keep-alives while its successor lets the lease
 *   end, so a linearizable read that is sent after the answer must show the same raft term;
 * - accepting an answer that comes after the deadline: between the two somebody else may have led, so a lease whose
 *   deadline has passed is dead for ever, and a new one means new claims;
 * - the monotonic clock alone: it stands still while the machine is suspended; the wall clock alone: it steps.
 */
import { MeridianError } from "../kernel/errors.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { LeaseId } from "../ports/coordinator.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Calls } from "./calls.ts";
import { keys } from "./keys.ts";

export interface LeaseOptions {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly ttlMs: number;
  readonly renewMs: number;
  /** The deadline lies this much before the time at which the lease can end; above etcd's election timeout. */
  readonly marginMs: number;
  /** A reason why this node may lead nothing at all now (its clock, for one): the lease ends with it. */
  readonly obstacle: () => string | undefined;
  /** Called once, synchronously, when the lease's end is noticed; `alive` has been false since its deadline. */
  readonly ended: (lease: NodeLease, reason: string) => void;
}

interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export class NodeLease {
  readonly id: LeaseId;
  readonly #options: LeaseOptions;
  /** Undefined: dead, for ever. */
  #deadline: Instant | undefined;
  #sentMs: number;
  #told = false;

  private constructor(options: LeaseOptions, id: LeaseId, sent: Instant, ttlMs: number) {
    this.#options = options;
    this.id = id;
    this.#sentMs = sent.monotonicMs;
    this.#deadline = deadlineOf(options, sent, ttlMs);
  }

  /** Throws UNAVAILABLE when there is no answer, or when it came after its own deadline. */
  static async grant(options: LeaseOptions): Promise<NodeLease> {
    const sent = now(options.clock);
    const answer = await options.calls.grant(options.ttlMs);
    const lease = new NodeLease(options, answer.lease, sent, answer.ttlMs);
    if (!lease.alive()) throw new MeridianError("UNAVAILABLE", "the lease was granted too late to be used");
    return lease;
  }

  /** Cheap: asked before every ack. Once false it stays false. */
  alive(): boolean {
    if (this.#deadline === undefined) return false;
    const { clock } = this.#options;
    if (clock.monotonicMs() < this.#deadline.monotonicMs && clock.wallMs() < this.#deadline.wallMs) return true;
    this.#deadline = undefined;
    return false;
  }

  /** Milliseconds until the deadline, by the clock that is nearer to it; 0 for a dead one. */
  leftMs(): number {
    if (!this.alive() || this.#deadline === undefined) return 0;
    const { monotonicMs, wallMs } = now(this.#options.clock);
    return Math.min(this.#deadline.monotonicMs - monotonicMs, this.#deadline.wallMs - wallMs);
  }

  /** This node lets go of it now, whatever the coordinator thinks. */
  end(reason: string): void {
    this.#deadline = undefined;
    if (this.#told) return;
    this.#told = true;
    this.#options.ended(this, reason);
  }

  /** Renews until the lease is dead or the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, renewMs } = this.#options;
    while (this.alive() && !signal.aborted) {
      const dueMs = this.#sentMs + renewMs - clock.monotonicMs();
      await sleep(clock, Math.min(Math.max(dueMs, 0), this.leftMs()), signal);
      const obstacle = this.#options.obstacle();
      if (obstacle !== undefined) this.end(obstacle);
      if (this.alive() && !signal.aborted) await this.#renew();
    }
    if (!this.alive()) this.end("its deadline passed without a renewal that counts");
  }

  async #renew(): Promise<void> {
    const { calls, telemetry } = this.#options;
    const sent = now(this.#options.clock);
    this.#sentMs = sent.monotonicMs;
    const answer = await calls.renew(this.id, this.leftMs()).catch((error: unknown) => MeridianError.from(error));
    if (answer instanceof MeridianError) return this.#missed(answer.message);
    if (answer.ttlMs <= 0) return this.end("the coordinator has ended it");
    const read = await calls.txn("confirming a renewal", { ranges: [{ key: keys.placement }] }, this.leftMs());
    if (!("header" in read)) return this.#missed("the read after it has no answer that counts");
    if (read.header.term !== answer.header.term) {
      return this.#missed(`the coordinator's term went from ${answer.header.term} to ${read.header.term}`);
    }
    // No await from here on: an answer that comes past the deadline renews nothing.
    if (!this.alive()) return;
    this.#deadline = deadlineOf(this.#options, sent, answer.ttlMs);
    telemetry.count("lease.renewed");
  }

  #missed(why: string): void {
    this.#options.telemetry.count("lease.renewal-missed");
    this.#options.telemetry.log("warn", "lease.renewal-missed", { lease: this.id, why, leftMs: this.leftMs() });
  }
}

function now(clock: Clock): Instant {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

/** Counted from when the request was *sent*. */
function deadlineOf({ ttlMs, marginMs }: LeaseOptions, sent: Instant, answeredMs: number): Instant {
  const lastsMs = Math.min(ttlMs, answeredMs) - marginMs;
  return { monotonicMs: sent.monotonicMs + lastsMs, wallMs: sent.wallMs + lastsMs };
}
