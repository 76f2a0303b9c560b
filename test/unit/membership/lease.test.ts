import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { MemoryCoordinator } from "../../../src/adapters/memory/coordinator.ts";
import { sleep } from "../../../src/kernel/timing.ts";
import { Calls } from "../../../src/membership/calls.ts";
import { NodeLease } from "../../../src/membership/lease.ts";
import type { TxnAnswer } from "../../../src/ports/coordinator.ts";
import { NodeClock } from "../../support/node-clock.ts";
import { codeOf, LEASE } from "./cluster.ts";
import { DoctoredCoordinator } from "./doctored-coordinator.ts";

const BELIEVED_MS = LEASE.leaseTtlMs - LEASE.leaseMarginMs;

/** A lease that is being kept. Calls may take as long as they like: the lease's own deadline is what is tested. */
class Scene {
  readonly time = new VirtualClock();
  readonly etcd = new DoctoredCoordinator(new MemoryCoordinator({ clock: this.time }));
  readonly clock: NodeClock;
  readonly ends: string[] = [];
  readonly #abort = new AbortController();
  obstacle: string | undefined;

  constructor(rates: { readonly monotonic?: number; readonly wall?: number } = {}) {
    this.clock = new NodeClock(this.time, rates);
  }

  grant(): Promise<NodeLease> {
    const telemetry = { log: () => {}, count: () => {} };
    const calls = new Calls({ coordinator: this.etcd, clock: this.clock, telemetry, deadlineMs: 60_000 });
    calls.enter({ cluster: "memory", term: 1, revision: 1 }, 0, 0);
    return NodeLease.grant({
      calls,
      clock: this.clock,
      telemetry,
      ttlMs: LEASE.leaseTtlMs,
      renewMs: LEASE.leaseRenewMs,
      marginMs: LEASE.leaseMarginMs,
      obstacle: () => this.obstacle,
      ended: (_, reason) => this.ends.push(reason),
    });
  }

  async kept(): Promise<NodeLease> {
    const lease = await this.time.until(this.grant());
    this.running = lease.keep(this.#abort.signal);
    return lease;
  }

  running: Promise<void> = Promise.resolve();

  /** From now on no renewal counts, by this change of the answers. */
  async diesWithin(lease: NodeLease, change: () => void): Promise<void> {
    await this.time.advance(5_000);
    expect(lease.alive()).toBe(true);
    change();
    await this.time.advance(BELIEVED_MS - 1);
    expect(lease.alive()).toBe(false);
    expect(this.ends).toHaveLength(1);
    await this.time.until(this.running);
  }
}

describe("a lease", () => {
  it("is believed for its TTL without the margin, and no longer without a renewal [R4]", async () => {
    const scene = new Scene();
    const lease = await scene.time.until(scene.grant());
    await scene.time.advance(BELIEVED_MS - 1);
    expect(lease.alive()).toBe(true);
    expect(lease.leftMs()).toBe(1);
    await scene.time.advance(1);
    expect(lease.alive()).toBe(false);
    expect(lease.leftMs()).toBe(0);
  });

  it("lives as long as its renewals count", async () => {
    const scene = new Scene();
    const lease = await scene.kept();
    await scene.time.advance(60_000);
    expect(lease.alive()).toBe(true);
    expect(lease.leftMs()).toBeGreaterThanOrEqual(BELIEVED_MS - LEASE.leaseRenewMs);
    expect(scene.ends).toEqual([]);
  });

  it("counts a grant and a renewal from when they were sent, not from when the answer came [R4]", async () => {
    const scene = new Scene();
    scene.etcd.granted = async (answer) => {
      await sleep(scene.time, 700);
      return answer;
    };
    const lease = await scene.time.until(scene.grant());
    expect(lease.leftMs()).toBe(BELIEVED_MS - 700);
    scene.etcd.renewed = async (answer) => {
      await sleep(scene.time, 600);
      return answer;
    };
    const running = lease.keep(new AbortController().signal);
    await scene.time.advance(600);
    expect(lease.leftMs()).toBe(BELIEVED_MS - 600);
    lease.end("enough");
    await scene.time.until(running);
  });

  it("is of no use when the grant's answer comes after its deadline", async () => {
    const scene = new Scene();
    scene.etcd.granted = async (answer) => {
      await sleep(scene.time, BELIEVED_MS);
      return answer;
    };
    expect(await scene.time.until(codeOf(scene.grant()))).toBe("UNAVAILABLE");
  });

  it("takes the shorter of the TTLs asked and answered", async () => {
    const scene = new Scene();
    scene.etcd.granted = (answer) => ({ ...answer, ttlMs: 1_500 });
    expect((await scene.time.until(scene.grant())).leftMs()).toBe(500);
    scene.etcd.granted = (answer) => ({ ...answer, ttlMs: 60_000 });
    expect((await scene.time.until(scene.grant())).leftMs()).toBe(BELIEVED_MS);
  });

  it("stays dead when the answer to a renewal comes after its deadline [R4]", async () => {
    const scene = new Scene();
    const lease = await scene.kept();
    scene.etcd.renewed = async (answer) => {
      await sleep(scene.time, BELIEVED_MS + 500);
      return answer;
    };
    await scene.time.advance(BELIEVED_MS);
    expect(lease.alive()).toBe(false);
    await scene.time.advance(10_000);
    expect(lease.alive()).toBe(false);
    expect(scene.ends).toHaveLength(1);
  });

  it("stays dead when the read after a renewal is answered after its deadline [R4]", async () => {
    const scene = new Scene();
    const lease = await scene.kept();
    scene.etcd.answered = async (answer) => {
      await sleep(scene.time, BELIEVED_MS);
      return answer;
    };
    await scene.time.advance(BELIEVED_MS + 1);
    expect(lease.alive()).toBe(false);
    await scene.time.advance(10_000);
    expect(lease.alive()).toBe(false);
  });

  it("is not renewed by a deposed leader's answer: the read after it shows another term [R4]", async () => {
    const scene = new Scene();
    await scene.diesWithin(await scene.kept(), () => {
      scene.etcd.answered = (answer) => doctored(answer, { term: 2 });
    });
  });

  it("is not renewed by another cluster", async () => {
    const scene = new Scene();
    await scene.diesWithin(await scene.kept(), () => {
      scene.etcd.renewed = (answer) => ({ ...answer, header: { ...answer.header, cluster: "other" } });
    });
  });

  it("is not renewed when the read after it comes from another cluster", async () => {
    const scene = new Scene();
    await scene.diesWithin(await scene.kept(), () => {
      scene.etcd.answered = (answer) => doctored(answer, { cluster: "other" });
    });
  });

  it("is not renewed while the coordinator's revision has gone back", async () => {
    const scene = new Scene();
    await scene.diesWithin(await scene.kept(), () => {
      scene.etcd.answered = (answer) => doctored(answer, { revision: 0 });
    });
  });

  it("is not renewed by an answer for another lease", async () => {
    const scene = new Scene();
    await scene.diesWithin(await scene.kept(), () => {
      scene.etcd.renewed = (answer) => ({ ...answer, lease: "another" });
    });
  });

  it("is not renewed when the read after it has no answer", async () => {
    const scene = new Scene();
    await scene.diesWithin(await scene.kept(), () => {
      scene.etcd.answered = () => ({ status: "unknown", cause: "lost" });
    });
  });

  it("goes on after a renewal that did not count, when the next one does", async () => {
    const scene = new Scene();
    const lease = await scene.kept();
    scene.etcd.answered = (answer) => doctored(answer, { term: 2 });
    await scene.time.advance(1_000);
    scene.etcd.renewed = (answer) => ({ ...answer, header: { ...answer.header, term: 2 } });
    await scene.time.advance(10_000);
    expect(lease.alive()).toBe(true);
  });

  it("ends at once when the coordinator says that it has ended", async () => {
    const scene = new Scene();
    const lease = await scene.kept();
    scene.etcd.renewed = (answer) => ({ ...answer, ttlMs: 0 });
    await scene.time.advance(LEASE.leaseRenewMs);
    expect(lease.alive()).toBe(false);
    expect(scene.ends).toEqual(["the coordinator has ended it"]);
  });

  it("ends by the wall clock when the machine was suspended and the monotonic clock stood still [R4]", async () => {
    const scene = new Scene();
    const lease = await scene.kept();
    await scene.time.advance(1_000);
    scene.clock.suspend();
    await scene.time.advance(BELIEVED_MS);
    expect(scene.clock.monotonicMs()).toBe(1_000);
    expect(lease.alive()).toBe(false);
    scene.clock.resume();
    await scene.time.advance(10_000);
    expect(lease.alive()).toBe(false);
  });

  it("ends by the monotonic clock when the wall clock is set back [R4]", async () => {
    const scene = new Scene();
    const lease = await scene.time.until(scene.grant());
    scene.clock.stepWall(-3_600_000);
    await scene.time.advance(BELIEVED_MS);
    expect(lease.alive()).toBe(false);
  });

  it("stays dead when the wall clock is set back behind its deadline again", async () => {
    const scene = new Scene();
    const lease = await scene.time.until(scene.grant());
    scene.clock.stepWall(BELIEVED_MS);
    expect(lease.alive()).toBe(false);
    scene.clock.stepWall(-BELIEVED_MS);
    expect(lease.alive()).toBe(false);
  });

  it("ends before the coordinator's lease does, though its clock loses just under the margin in one TTL [R4]", async () => {
    const rate = 1 - LEASE.leaseMarginMs / LEASE.leaseTtlMs + 0.001;
    const scene = new Scene({ monotonic: rate, wall: rate });
    const lease = await scene.time.until(scene.grant());
    await scene.time.advance(2_900);
    expect(lease.alive()).toBe(true);
    await scene.time.advance(LEASE.leaseTtlMs - 2_901);
    expect(lease.alive()).toBe(false);
  });

  it("ends when the node must not lead: its clock, for one", async () => {
    const scene = new Scene();
    const lease = await scene.kept();
    scene.obstacle = "the clock is not synchronised";
    await scene.time.advance(LEASE.leaseRenewMs);
    expect(lease.alive()).toBe(false);
    expect(scene.ends).toEqual(["the clock is not synchronised"]);
  });
});

function doctored(answer: TxnAnswer, header: { term?: number; cluster?: string; revision?: number }): TxnAnswer {
  return "header" in answer ? { ...answer, header: { ...answer.header, ...header } } : answer;
}
