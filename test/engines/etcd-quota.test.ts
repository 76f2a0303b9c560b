import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdCoordinator } from "../../src/adapters/etcd/coordinator.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import type { TxnAnswer } from "../../src/ports/coordinator.ts";
import { areThere } from "../support/engines.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

const WRITERS = 32;
const VALUE = new Uint8Array(200_000);

describe.skipIf(!areThere("etcd"))("an etcd whose quota is used up", () => {
  let cluster: EtcdCluster;

  beforeAll(async () => {
    cluster = await EtcdCluster.start({ flags: ["--quota-backend-bytes", "16000000"] });
  });
  afterAll(() => cluster.stop());

  // Whether any of them was applied all the same is up to chance: docs/decisions/0012 has figures.
  it("is said to have left it open whether it applied what it answers with 'database space exceeded'", async () => {
    const coordinator = await EtcdCoordinator.open({
      endpoints: cluster.endpoints,
      prefix: "quota/",
      clock: new SystemClock({ errorMs: 1 }),
      telemetry: new MemoryTelemetry(),
      callMs: 10_000,
    });
    try {
      const last = await Promise.all(Array.from({ length: WRITERS }, (_, writer) => writeUntilFull(coordinator, writer)));
      for (const { answer } of last) {
        expect(answer).toMatchObject({
          status: "unknown",
          cause: {
            code: "UNAVAILABLE",
            message: expect.stringContaining("space exceeded"),
            advice: expect.stringContaining("quota"),
          },
        });
      }
      await expect(coordinator.grant(60_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(await coordinator.txn({ ranges: last.map(({ key }) => ({ key })) })).toMatchObject({ status: "applied" });
    } finally {
      await coordinator.close();
    }
  });
});

async function writeUntilFull(coordinator: EtcdCoordinator, writer: number): Promise<{ key: string; answer: TxnAnswer }> {
  for (let at = 0; ; at++) {
    const key = `${writer}/${at}`;
    const answer = await coordinator.txn({ guards: [{ key, modRevision: 0 }], puts: [{ key, value: VALUE }] });
    if (answer.status !== "applied") return { key, answer };
  }
}
