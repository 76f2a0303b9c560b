import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FAULTS } from "../../chaos/faults.ts";
import { summaryOf } from "../../chaos/report.ts";
import { chaos } from "../../chaos/run.ts";
import { World } from "../../chaos/world.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { areThere, folderOf } from "../support/engines.ts";

/** One each for nodes, the log and the coordinator. `npm run chaos` has all, and judges how long anything stalled. */
const TRIED = ["kill-leader", "cassandra-killed", "etcd-leader-killed"];

/** As long as nodes have it by default: longer than in `npm run chaos`, for the machine may do much else meanwhile… */
const LEASE = { ttlMs: LIMITS.leaseTtlMs, marginMs: LIMITS.leaseMarginMs, renewMs: LIMITS.leaseRenewMs };
/** …and less is said: 120 messages a second. */
const EVERY_MS = 2_000;

describe.skipIf(!areThere("etcd", "cassandra"))("people who chat by a cluster", () => {
  const folder = folderOf("chaos");
  const say = (line: string) => console.info(line);
  let world: World;

  beforeAll(async () => {
    world = await World.start({ folder, fsync: false, lease: LEASE, hasSecond: true, say });
  });
  afterAll(() => world?.stop());

  it(`miss nothing, and get nothing twice or in another order, under ${TRIED.join(", ")} [G1, G2, G3, G4, G7]`, async () => {
    const faults = FAULTS.filter(({ name }) => TRIED.includes(name));
    const report = await chaos({
      world,
      folder,
      faults,
      pairsUntilMs: 0,
      everyMs: EVERY_MS,
      warmUpMs: 5_000,
      random: () => 0,
      say,
    });
    const { lost, duplicated, reordered, diverged, acknowledged, delivered } = summaryOf(report);
    expect({ lost, duplicated, reordered, diverged }).toEqual({ lost: 0, duplicated: 0, reordered: 0, diverged: 0 });
    expect(report.verdict.status).toBe("holds");
    expect(report.behind).toEqual([]);
    expect(acknowledged).toBeGreaterThan(0);
    expect(delivered).toBeGreaterThan(0);
    expect(report.befallen.flatMap(({ names }) => names)).toEqual(TRIED);
    // A fault that had no effect would prove nothing.
    for (const { signs, problems } of report.befallen.flatMap(({ effects }) => effects)) {
      expect(problems).toEqual([]);
      expect(signs).not.toEqual([]);
    }
  });
});
