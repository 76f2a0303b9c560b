import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { type HealthListener, type RunningServer, ServedNode } from "../../../src/cli/served-node.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import type { MeridianNode } from "../../../src/node/node.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

/** A node and servers that only say what is done to them, and in which order. */
function fakes(options: { readonly node?: string; readonly taken?: string } = {}) {
  const did: string[] = [];
  const clock = new VirtualClock();
  const state = { reasons: ["no lease"] as readonly string[], ask: (): readonly string[] => [], handover: Promise.resolve() };
  const telemetry = new MemoryTelemetry();
  const node = {
    services: { clients: [], peers: [], operators: [] },
    reasons: () => state.reasons,
    start: async () => {
      did.push(`node starts, ${state.ask().join()}`);
      if (options.node !== undefined) throw new Error(options.node);
      state.reasons = [];
    },
    stop: async () => {
      did.push("node stops");
      state.reasons = ["the node is stopping"];
      await state.handover;
    },
  } as unknown as MeridianNode;
  const listen = async (address: string): Promise<RunningServer> => {
    if (address === options.taken) throw new Error(`${address} is taken`);
    did.push(`${address} listens, ${state.ask().join()}`);
    return {
      address,
      setServing: (serving) => did.push(`${address} ${serving ? "serves" : "serves not"}`),
      close: async ({ graceMs }) => void did.push(`${address} closes within ${graceMs}`),
    };
  };
  const listenHealth = async (reasons: () => readonly string[]): Promise<HealthListener> => {
    state.ask = reasons;
    return { address: "health", close: async () => void did.push("health closes") };
  };
  const addresses = { clients: "clients", peers: "peers", admin: "admin" };
  return {
    did,
    clock,
    state,
    telemetry,
    start: () => ServedNode.start({ node, clock, telemetry, addresses, listen, listenHealth }),
  };
}

describe("ServedNode", () => {
  it("takes other nodes' calls before it joins and clients' only once it leads, and says meanwhile why it is not ready", async () => {
    const { did, state, start } = fakes();
    const served = await start();
    expect(did.slice(0, 4)).toEqual([
      "peers listens, no lease",
      "node starts, no lease",
      "clients listens, the node is starting",
      "admin listens, the node is starting",
    ]);
    expect(did.slice(4).sort()).toEqual(["admin serves", "clients serves", "peers serves"]);
    expect(state.ask()).toEqual([]);
    await served.stop();
  });

  it("stops by being not ready first, then hands over, then closes to its clients, and answers health checks to the end", async () => {
    const { did, state, start } = fakes();
    const served = await start();
    did.length = 0;
    await served.stop();
    expect(did.slice(0, 3).sort()).toEqual(["admin serves not", "clients serves not", "peers serves not"]);
    expect(did[3]).toBe("node stops");
    expect(did.slice(4, 7).sort()).toEqual([
      "admin closes within 2000",
      "clients closes within 2000",
      "peers closes within 2000",
    ]);
    expect(did.slice(7)).toEqual(["health closes"]);
    expect(state.ask()).toEqual(["the node is stopping"]);
  });

  it("ends all the same when the hand-over does not, and says so [G9]", async () => {
    const { did, clock, state, telemetry, start } = fakes();
    const served = await start();
    did.length = 0;
    state.handover = new Promise(() => {});
    await clock.until(served.stop());
    expect(clock.monotonicMs()).toBe(LIMITS.stopMs);
    expect(did.at(-1)).toBe("health closes");
    expect(telemetry.events()).toEqual(["node.not-handed-over"]);
  });

  it("tells health checks every second whether it serves, until it stops", async () => {
    const { did, clock, state, start } = fakes();
    const served = await start();
    did.length = 0;
    state.reasons = ["no lease"];
    await clock.advance(1_000);
    expect(did).toContain("clients serves not");
    await served.stop();
    did.length = 0;
    state.reasons = [];
    await clock.advance(5_000);
    expect(did).toEqual([]);
  });

  it("closes everything again when the node cannot start or an address is taken", async () => {
    const unable = fakes({ node: "no etcd" });
    await expect(unable.start()).rejects.toThrow("no etcd");
    expect(unable.did.slice(-3)).toEqual(["node stops", "peers closes within 2000", "health closes"]);
    const taken = fakes({ taken: "clients" });
    await expect(taken.start()).rejects.toThrow("clients is taken");
    expect(taken.did.slice(-3)).toEqual(["node stops", "peers closes within 2000", "health closes"]);
  });
});
