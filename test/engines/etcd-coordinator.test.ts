import { randomUUID } from "node:crypto";
import { setTimeout as pass } from "node:timers/promises";
import { afterAll, beforeAll, describe } from "vitest";
import { EtcdCoordinator } from "../../src/adapters/etcd/coordinator.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import { coordinatorContract } from "../contract/coordinator.ts";
import { areThere } from "../support/engines.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

describe.skipIf(!areThere("etcd"))("a real etcd of three members", () => {
  let cluster: EtcdCluster;

  beforeAll(async () => {
    cluster = await EtcdCluster.start();
  });
  afterAll(() => cluster.stop());

  coordinatorContract("etcd", async () => {
    const clock = new SystemClock({ errorMs: 1 });
    const coordinator = await EtcdCoordinator.open({
      endpoints: cluster.endpoints,
      prefix: `${randomUUID()}/`,
      clock,
      telemetry: new MemoryTelemetry(),
    });
    return {
      coordinator,
      clock,
      pass: (durationMs) => pass(durationMs),
      compact: (revision) => cluster.compact(revision),
      close: () => coordinator.close(),
    };
  });
});
