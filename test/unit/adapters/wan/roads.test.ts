import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { SystemClock } from "../../../../src/adapters/system/clock.ts";
import { Links } from "../../../../src/adapters/wan/links.ts";
import { Roads } from "../../../../src/adapters/wan/roads.ts";
import type { Network } from "../../../../src/ports/network.ts";

const REGIONS = ["us", "eu", "ap"];
const WAYS: Readonly<Record<string, number>> = { "eu us": 10, "ap eu": 20, "ap us": 30 };
const clock = new SystemClock({ errorMs: 1 });
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Answers every connection with its name. */
async function named(name: string): Promise<string> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.end(name);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function open() {
  const oneWayMs = (a: string, b: string) => WAYS[[a, b].sort().join(" ")] ?? 0;
  const links = new Links({ clock, regions: REGIONS, oneWayMs, coordinator: "eu" });
  const doors = new Map(REGIONS.map((region) => [region, "127.0.0.1:0"]));
  const rttMs = (a: string, b: string) => 2 * oneWayMs(a, b);
  const roads = await Roads.open({ links, clock, doors, rttMs });
  closing.push(() => roads.close());
  return { links, roads };
}

async function openAndLead() {
  const { links, roads } = await open();
  for (const region of REGIONS) {
    roads.lead(region, { clients: await named(`clients of ${region}`), peers: await named(`peers of ${region}`) });
  }
  return { links, roads };
}

/** What answers there, or how the connection ended. */
function ask(address: string): Promise<string> {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    socket.on("data", (chunk) => {
      text += String(chunk);
    });
    socket.on("end", () => resolve(text));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** The addresses that a node in this region connects to. */
function peersOf(roads: Roads, region: string): (to: string) => string {
  const seen: string[] = [];
  const network = roads.network(region, { channel: (address: string) => seen.push(address) } as unknown as Network);
  return (to) => {
    network.channel(`${to}:7411`);
    return seen.at(-1) ?? "";
  };
}

describe("the roads of an emulated wide area", () => {
  it("lead clients of each region to every node, the nearest first", async () => {
    const { roads } = await openAndLead();
    const routes = roads.routes("us");
    expect(routes.map(({ region, rttMs }) => [region, rttMs])).toEqual([
      ["us", 0],
      ["eu", 20],
      ["ap", 60],
    ]);
    expect(await Promise.all(routes.map(({ address }) => ask(address)))).toEqual(
      ["us", "eu", "ap"].map((r) => `clients of ${r}`),
    );
  });

  it("lead nodes to each other by their regions", async () => {
    const { roads } = await openAndLead();
    const to = peersOf(roads, "us");
    expect([await ask(to("eu")), await ask(to("ap"))]).toEqual(["peers of eu", "peers of ap"]);
    expect(() => to("mars")).toThrow("no road");
  });

  it("reset connections while nobody listens behind them", async () => {
    const { roads } = await open();
    expect(await ask(roads.routes("us")[0]?.address ?? "")).toBe("ECONNRESET");
  });

  it("cut a lost region's node off, but not the people there from other regions", async () => {
    const { links, roads } = await openAndLead();
    const fromUs = roads.routes("us").map(({ address }) => address);
    const fromEu = roads.routes("eu").map(({ address }) => address);
    links.lose("us");
    expect(await Promise.all(fromUs.map(ask))).toEqual(["ECONNRESET", "clients of eu", "clients of ap"]);
    expect(await Promise.all(fromEu.map(ask))).toEqual(["clients of eu", "ECONNRESET", "clients of ap"]);
    expect([await ask(peersOf(roads, "us")("eu")), await ask(peersOf(roads, "eu")("us"))]).toEqual(["ECONNRESET", "ECONNRESET"]);
    links.restoreRegion("us");
    expect(await Promise.all(fromUs.map(ask))).toEqual(["clients of us", "clients of eu", "clients of ap"]);
  });

  it("cut what a partition cuts, and leave a region's own clients alone", async () => {
    const { links, roads } = await openAndLead();
    links.partition("us", "eu");
    expect(await Promise.all(roads.routes("us").map(({ address }) => ask(address)))).toEqual([
      "clients of us",
      "ECONNRESET",
      "clients of ap",
    ]);
    expect(await ask(peersOf(roads, "us")("eu"))).toBe("ECONNRESET");
    expect(await ask(peersOf(roads, "us")("ap"))).toBe("peers of ap");
  });

  it("take no address if one of them cannot be had", async () => {
    const taken = await named("somebody else");
    const links = new Links({ clock, regions: ["us", "eu"], oneWayMs: () => 1, coordinator: "eu" });
    const doors = new Map([
      ["us", "127.0.0.1:0"],
      ["eu", taken],
    ]);
    await expect(Roads.open({ links, clock, doors, rttMs: () => 2 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining(taken),
    });
  });
});
