import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { MemoryNetwork } from "../../../sim/network.ts";
import { AdminClient } from "../../../src/client/admin.ts";
import { AdminService } from "../../../src/gen/meridian/v1/admin_pb.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { hashToBytes, ROOT_HASH } from "../../../src/kernel/hash.ts";
import type { Handlers } from "../../../src/ports/network.ts";

describe("the admin client", () => {
  function connect() {
    const clock = new VirtualClock();
    const network = new MemoryNetwork({ clock });
    const handlers: Handlers<typeof AdminService> = {
      getStatus: async () => ({
        node: "eu-1",
        region: "eu",
        version: "0.1.0",
        ready: false,
        reasons: ["the clock is not synchronised"],
        uptimeMs: 5n,
        leaseLeftMs: 7_000n,
        worker: 3,
        shards: ["eu/1"],
        conversations: 2,
        sessions: 1,
        counters: { "leader.batches": 2n ** 60n },
      }),
      listLeaders: async ({ limit }) => ({
        leaders: [
          { conversation: `limit ${limit}`, epoch: 2n ** 60n, head: { seq: 4n, hash: hashToBytes("ab".repeat(16)) } },
          { conversation: "empty", epoch: 1n },
        ],
      }),
      moveConversation: async ({ conversation, region }) => {
        if (region !== "us") throw new MeridianError("INVALID_ARGUMENT", `no region ${region}`);
        return { epoch: BigInt(conversation.length) };
      },
      resetCursor: async ({ seq }) => ({ generation: seq + 1n }),
    };
    network.serve("a:1", [{ service: AdminService, handlers }]);
    return { clock, admin: new AdminClient(network.from("operator"), "a:1") };
  }

  it("tells how a node is", async () => {
    const { clock, admin } = connect();
    expect(await clock.until(admin.status())).toEqual({
      node: "eu-1",
      region: "eu",
      version: "0.1.0",
      ready: false,
      reasons: ["the clock is not synchronised"],
      uptimeMs: 5,
      leaseLeftMs: 7_000,
      worker: 3,
      clockErrorMs: undefined,
      shards: ["eu/1"],
      conversations: 2,
      sessions: 1,
      counters: { "leader.batches": 2n ** 60n },
    });
  });

  it("lists what the node leads", async () => {
    const { clock, admin } = connect();
    expect(await clock.until(admin.leaders({ limit: 5 }))).toEqual([
      { conversation: "limit 5", epoch: 2n ** 60n, head: { seq: 4, hash: "ab".repeat(16) } },
      { conversation: "empty", epoch: 1n, head: { seq: 0, hash: ROOT_HASH } },
    ]);
  });

  it("moves conversations and resets cursors", async () => {
    const { clock, admin } = connect();
    expect(await clock.until(admin.move("standup", "us"))).toEqual({ epoch: 7n });
    expect(await clock.until(admin.resetCursor("standup", "web", 41))).toEqual({ generation: 42 });
  });

  it("throws what the node refuses, and what nobody could mean", async () => {
    const { clock, admin } = connect();
    const refused = admin.move("standup", "mars").catch((error) => error);
    expect(await clock.until(refused)).toMatchObject({ code: "INVALID_ARGUMENT", message: "no region mars" });
    await expect(admin.move("", "us")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("answers nothing more once it is closed", async () => {
    const { clock, admin } = connect();
    admin.close();
    const closed = admin.status().catch((error) => error);
    expect(await clock.until(closed)).toMatchObject({ code: "UNAVAILABLE" });
  });
});
