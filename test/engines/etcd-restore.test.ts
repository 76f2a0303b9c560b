import { randomUUID } from "node:crypto";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdCoordinator } from "../../src/adapters/etcd/coordinator.ts";
import { GrpcNetwork } from "../../src/adapters/grpc/channel.ts";
import { GrpcServer } from "../../src/adapters/grpc/server.ts";
import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import { SystemRandom } from "../../src/adapters/system/random.ts";
import { ServedNode } from "../../src/cli/served-node.ts";
import { connect } from "../../src/index.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { MeridianNode } from "../../src/node/node.ts";
import { areThere } from "../support/engines.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";

const PREFIX = "chat/";

describe.skipIf(!areThere("etcd"))("an etcd that was put back to an older state", () => {
  const store = new MemoryLogStore();
  let etcd: EtcdCluster;

  beforeAll(async () => {
    etcd = await EtcdCluster.start();
  });
  afterAll(() => etcd.stop());

  /** A node of the first region, whose log outlives it. Throws what keeps it from serving. */
  const start = async (regions: readonly string[] = ["us-east"]) => {
    const clock = new SystemClock({ errorMs: 1 });
    const telemetry = new MemoryTelemetry();
    const coordinator = await EtcdCoordinator.open({ endpoints: etcd.endpoints, prefix: PREFIX, clock, telemetry });
    const node = new MeridianNode({
      node: `node-${randomUUID()}`,
      region: "us-east",
      regions,
      address: "127.0.0.1:1",
      version: "test",
      bodyBytesMax: LIMITS.bodyBytes,
      lease: { ttlMs: 4_000, renewMs: 800, marginMs: 1_200 },
      coordinator,
      store,
      network: new GrpcNetwork(),
      clock,
      random: new SystemRandom(),
      telemetry,
      counters: () => telemetry.counters,
    });
    const addresses = { clients: "127.0.0.1:0", peers: "127.0.0.1:0", admin: "127.0.0.1:0" };
    const listen = (address: string, services: Parameters<typeof GrpcServer.listen>[0]["services"]) =>
      GrpcServer.listen({ clock, telemetry, address, services });
    try {
      const served = await ServedNode.start({ node, clock, telemetry, addresses, listen });
      return {
        clients: served.clients,
        reasons: () => node.reasons(),
        stop: async () => {
          await served.stop();
          await coordinator.close();
        },
      };
    } catch (error) {
      await coordinator.close();
      throw error;
    }
  };
  const send = async (endpoint: string, texts: readonly string[]) => {
    await using client = await connect({ endpoints: [endpoint], sender: "ada" });
    const outcomes = await Promise.all(texts.map((text) => client.send("standup", text)));
    return outcomes.map((outcome) => (outcome.status === "committed" ? outcome.seq : outcome.status));
  };
  const dataOf = (name: string) => join(etcd.folder, name, "data");

  it("is refused, and serves again with a higher incarnation as docs/operating.md says: nothing is lost, no id repeats [G1, G5]", async () => {
    const first = await start();
    expect(await send(first.clients, ["a", "b"])).toEqual([1, 2]);
    await etcd.kill();
    for (const name of etcd.names) await cp(dataOf(name), `${dataOf(name)}.backup`, { recursive: true });
    await etcd.up();
    await first.stop();
    for (const text of ["c", "d"]) {
      const next = await start();
      await send(next.clients, [text]);
      await next.stop();
    }

    await etcd.kill();
    for (const name of etcd.names) {
      await rm(dataOf(name), { recursive: true });
      await cp(`${dataOf(name)}.backup`, dataOf(name), { recursive: true });
    }
    await etcd.up();
    // The shards that stood in the backup are free only once their lease has ended: until then there is nothing to refuse.
    const suspicious = await start();
    await expect.poll(() => suspicious.reasons(), { timeout: 20_000 }).toContainEqual(expect.stringContaining("rewound"));
    await suspicious.stop();

    await changePlacement(etcd, {});
    const last = await start();
    expect(await send(last.clients, ["e"])).toEqual([5]);
    await using client = await connect({ endpoints: [last.clients] });
    const { messages } = await client.history("standup");
    expect(messages.map(({ body }) => Buffer.from(body).toString())).toEqual(["a", "b", "c", "d", "e"]);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(5);
    expect((await client.locate("standup")).epoch).toBeGreaterThan(2n ** 48n);
    await client.close();
    await last.stop();
  });

  it("takes a further region in the same way, and conversations go on where they were [G1]", async () => {
    const regions = ["us-east", "eu-west"];
    await expect(start(regions)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await changePlacement(etcd, { regions: regions.toSorted() });
    const node = await start(regions);
    // Nobody lives in the new region: what is at home there is led from here.
    expect(await send(node.clients, ["f"])).toEqual([6]);
    await node.stop();
  });
});

/** What docs/operating.md does with etcdctl. */
async function changePlacement(etcd: EtcdCluster, change: object): Promise<void> {
  const key = base64(`${PREFIX}meridian/placement`);
  const { kvs = [] } = (await etcd.ask("/v3/kv/range", { key })) as unknown as { kvs?: { value: string }[] };
  const placement = JSON.parse(Buffer.from(kvs[0]?.value ?? "", "base64").toString());
  const value = base64(JSON.stringify({ ...placement, ...change, incarnation: placement.incarnation + 1 }));
  await etcd.ask("/v3/kv/put", { key, value });
  for (const folder of ["nodes", "shards"]) {
    const [from, to] = [`${PREFIX}meridian/${folder}/`, `${PREFIX}meridian/${folder}0`];
    await etcd.ask("/v3/kv/deleterange", { key: base64(from), range_end: base64(to) });
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
