import { randomUUID } from "node:crypto";
import { setTimeout as pass } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EtcdCoordinator } from "../../src/adapters/etcd/coordinator.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { type LoadReport, loaded } from "../support/coordinator-load.ts";
import { areThere } from "../support/engines.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { TcpRelay } from "../support/tcp-relay.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

/** Above what a call may take: a loaded machine is late. */
const PROMPT_MS = LIMITS.etcdCallMs + 500;

describe.skipIf(!areThere("etcd"))("a coordinator whose etcd fails", () => {
  let cluster: EtcdCluster;
  let coordinator: EtcdCoordinator;
  let telemetry: MemoryTelemetry;

  beforeAll(async () => {
    cluster = await EtcdCluster.start();
  });
  afterAll(() => cluster.stop());

  const connect = (endpoints: readonly string[], prefix = `${randomUUID()}/`) =>
    EtcdCoordinator.open({ endpoints, prefix, clock: new SystemClock({ errorMs: 1 }), telemetry });
  /** The members' addresses with this one first: calls go there while it is well. */
  const firstAt = (name: string) => {
    const at = cluster.names.indexOf(name);
    return [cluster.endpoints[at] as string, ...cluster.endpoints.toSpliced(at, 1)];
  };
  const follower = async () => {
    const leader = await cluster.leader();
    return cluster.names.find((name) => name !== leader) as string;
  };

  beforeEach(() => {
    telemetry = new MemoryTelemetry();
  });
  afterEach(async () => {
    await coordinator.close();
    await cluster.resume();
    await cluster.up();
  });

  const expectSound = (report: LoadReport) => {
    expect(report).toMatchObject({ repeated: [], missing: [], unseen: [], leaseLost: false });
    expect(report.applied).toBeGreaterThan(50);
  };

  describe("under load", () => {
    it.each([
      ["the member that it talks to is killed", follower, "kill", 3],
      ["the member that it talks to is paused", follower, "pause", 4],
      ["the leader, which it talks to, is killed", () => cluster.leader(), "kill", 5],
      ["the leader, which it talks to, is paused", () => cluster.leader(), "pause", 5],
    ] as const)("sends nothing twice, loses nothing and soon goes on when %s", async (_, whom, harm, stallSeconds) => {
      const name = await whom();
      coordinator = await connect(firstAt(name));
      const report = await loaded(coordinator, async () => {
        await cluster[harm](name);
        await pass(6_000);
        await (harm === "kill" ? cluster.up(name) : cluster.resume(name));
        await pass(1_500);
      });
      expectSound(report);
      // A loaded machine is slow; without fail-over it would be as long as the fault, or a second for each call of it.
      expect(report.stallMs).toBeLessThan(stallSeconds * 1_000);
      expect(report.watchesCut).toBeGreaterThan(0);
      // One call for each member that did not answer, and those of an election: not one in each second of the fault.
      expect(report.unknown).toBeLessThan(6);
    });

    it("goes on when the leader, which it does not talk to, is killed", async () => {
      const name = await cluster.leader();
      coordinator = await connect(firstAt(await follower()));
      const report = await loaded(coordinator, async () => {
        await cluster.kill(name);
        await pass(6_000);
      });
      expectSound(report);
      expect(report.stallMs).toBeLessThan(5_000);
    });
  });

  it("answers every call within its deadline while all members are paused, and works once they go on", async () => {
    coordinator = await connect(cluster.endpoints);
    const { lease } = await coordinator.grant(60_000);
    const { header } = await answered(coordinator.txn({ puts: [{ key: "a", value: new Uint8Array() }] }));
    const watched = coordinator
      .watch("", header.revision + 1)
      [Symbol.asyncIterator]()
      .next();
    watched.catch(() => {});
    await cluster.pause();
    const beganMs = performance.now();
    const [write, read, renewal, granted] = await Promise.allSettled([
      coordinator.txn({ puts: [{ key: "b", value: new Uint8Array() }] }),
      coordinator.txn({ ranges: [{ key: "a" }] }),
      coordinator.renew(lease),
      coordinator.grant(60_000),
    ]);
    expect(performance.now() - beganMs).toBeLessThan(PROMPT_MS);
    expect([write, read]).toMatchObject([{ value: { status: "unknown" } }, { value: { status: "unknown" } }]);
    expect([renewal, granted]).toMatchObject([{ reason: { code: "UNAVAILABLE" } }, { reason: { code: "UNAVAILABLE" } }]);
    await expect(watched).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await cluster.resume();
    await expect
      .poll(async () => (await coordinator.txn({ ranges: [{ key: "a" }] })).status, { timeout: 10_000 })
      .toBe("applied");
    expect((await coordinator.renew(lease)).ttlMs).toBe(60_000);
  });

  it("does not wait a deadline for each call when its first member is down from the start", async () => {
    const name = await follower();
    await cluster.kill(name);
    coordinator = await connect(firstAt(name));
    const beganMs = performance.now();
    for (let calls = 0; calls < 20; calls++) await answered(coordinator.txn({ ranges: [{ key: "a" }] }));
    expect(performance.now() - beganMs).toBeLessThan(PROMPT_MS);
  });

  describe("through a connection that is cut", () => {
    let relay: TcpRelay;
    let direct: EtcdCoordinator;
    const prefix = `${randomUUID()}/`;

    beforeEach(async () => {
      relay = await TcpRelay.listen(cluster.endpoints[0] as string, 0);
      coordinator = await connect([relay.address], prefix);
      direct = await connect(cluster.endpoints, prefix);
    });
    afterEach(async () => {
      await direct.close();
      await relay.close();
    });

    it("says unknown of a transaction that was applied and whose answer is late, and never gives that answer to another", async () => {
      relay.holdAnswers();
      const lost = await coordinator.txn({
        guards: [{ key: "a", modRevision: 0 }],
        puts: [{ key: "a", value: Uint8Array.of(1) }],
      });
      expect(lost).toMatchObject({ status: "unknown", cause: { code: "UNAVAILABLE" } });
      const { ranges } = await answered(direct.txn({ ranges: [{ key: "a" }] }));
      expect(ranges[0]?.kvs[0]?.value).toEqual(Uint8Array.of(1));
      relay.releaseAnswers();
      const later = await answered(coordinator.txn({ ranges: [{ key: "b" }] }));
      expect(later.ranges[0]?.kvs).toEqual([]);
    });

    it("does not take the late answer to one renewal for the answer to the next", async () => {
      const { lease } = await coordinator.grant(60_000);
      relay.holdAnswers();
      await expect(coordinator.renew(lease)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await direct.revoke(lease);
      relay.releaseAnswers();
      expect((await coordinator.renew(lease)).ttlMs).toBe(0);
    });

    it("tells of a member that goes while no call misses it", async () => {
      const other = await connect([cluster.endpoints[1] as string, relay.address]);
      const told = () => {
        relay.reset();
        return telemetry.lines.some(({ event, fields }) => event === "etcd.disconnected" && fields.address === relay.address);
      };
      await expect.poll(told, { timeout: 10_000 }).toBe(true);
      expect(telemetry.counters.get("etcd.disconnected")).toBeGreaterThan(0);
      expect(telemetry.counters.get("etcd.suspected")).toBeUndefined();
      await other.close();
    });

    it("ends a watch when it is cut, and refuses to go on where its changes were compacted meanwhile", async () => {
      const { header } = await answered(direct.txn({ puts: [{ key: "w", value: Uint8Array.of(1) }] }));
      const watch = coordinator.watch("w", header.revision)[Symbol.asyncIterator]();
      expect((await watch.next()).value?.events).toHaveLength(1);
      const next = watch.next();
      relay.reset();
      await expect(next).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await answered(direct.txn({ puts: [{ key: "w", value: Uint8Array.of(2) }] }));
      const last = await answered(direct.txn({ puts: [{ key: "w", value: Uint8Array.of(3) }] }));
      await cluster.compact(last.header.revision);
      const again = coordinator.watch("w", header.revision + 1)[Symbol.asyncIterator]();
      await expect(again.next()).rejects.toMatchObject({ code: "TRUNCATED" });
    });
  });
});

async function answered(answer: ReturnType<EtcdCoordinator["txn"]>) {
  const given = await answer;
  if (given.status === "applied" || given.status === "guard-failed") return given;
  throw new Error(`the coordinator answered ${given.status}`, { cause: given });
}
