import { describe, expect, it } from "vitest";
import { Topology } from "../../../src/node/topology.ts";
import { root } from "../house/tree.ts";

/** Two regions; `change` spoils them. */
function parse(change: (file: ReturnType<typeof twoRegions>) => unknown) {
  const file = twoRegions();
  const changed = change(file) ?? file;
  return Topology.parse(JSON.stringify(changed), "test.json");
}

function twoRegions() {
  const region = (at: number) => ({
    dataCenter: `dc_${at}`,
    cidr: `10.${at}.0.0/16`,
    embedded: { clients: `127.0.0.1:740${at}`, peers: `127.0.0.1:741${at}`, admin: `127.0.0.1:742${at}` },
  });
  const regions: Record<string, ReturnType<typeof region>> = { north: region(1), south: region(2) };
  const rttMs: Record<string, Record<string, number>> = { north: { south: 30 } };
  return { coordinator: "south", regions, rttMs };
}

function fault(change: Parameters<typeof parse>[0]): string {
  try {
    parse(change);
  } catch (error) {
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("test.json") });
    return (error as Error).message;
  }
  throw new Error("nothing was found wrong");
}

describe("the topology", () => {
  it("of the repository has three regions, their addresses and their distances", async () => {
    const topology = await Topology.read(`${root}/regions/topology.json`);
    expect(topology.names).toEqual(["us-east", "eu-west", "ap-southeast"]);
    expect(topology.coordinator).toBe("eu-west");
    expect(topology.regions.map(({ embedded }) => Object.values(embedded).map((where) => where.split(":")[1]))).toEqual([
      ["7401", "7411", "7421"],
      ["7402", "7412", "7422"],
      ["7403", "7413", "7423"],
    ]);
    const ways = topology.names.map((from) => topology.names.map((to) => topology.oneWayMs(from, to)));
    expect(ways).toEqual([
      [0, 40, 108],
      [40, 0, 80],
      [108, 80, 0],
    ]);
  });

  it("tells a region by its name, and which there are when there is none of it", () => {
    const topology = parse(() => undefined);
    expect(topology.region("south")).toMatchObject({ name: "south", dataCenter: "dc_2", cidr: "10.2.0.0/16" });
    expect(topology.oneWayMs("south", "north")).toBe(15);
    const none = expect.objectContaining({ code: "NOT_FOUND", advice: "The topology's regions are north, south." });
    expect(() => topology.region("west")).toThrow(none);
    expect(() => topology.oneWayMs("south", "west")).toThrow(none);
  });

  it("may be of one region", () => {
    const topology = parse(({ regions: { south } }) => ({ coordinator: "south", regions: { south }, rttMs: {} }));
    expect(topology.names).toEqual(["south"]);
  });

  it("names a coordinator that is no region", () => {
    expect(fault((file) => ({ ...file, coordinator: "west" }))).toContain("west is none of the regions");
  });

  it("needs each pair's round trip exactly once, and no other", () => {
    expect(fault((file) => ({ ...file, rttMs: {} }))).toContain("north – south is given 0 times");
    expect(fault((file) => ({ ...file, rttMs: { north: { south: 30 }, south: { north: 30 } } }))).toContain("given 2 times");
    expect(fault((file) => ({ ...file, rttMs: { north: { south: 30, west: 5 } } }))).toContain("west is none of the regions");
    expect(fault((file) => ({ ...file, rttMs: { north: { south: 30, north: 1 } } }))).toContain("not away from itself");
    expect(fault((file) => ({ ...file, rttMs: { north: { south: -1 } } }))).toContain("rttMs.north.south");
  });

  it("refuses an address or a data center that two have, but any number of free ports", () => {
    const spoiled = (file: ReturnType<typeof twoRegions>) => {
      Object.assign(file.regions.south ?? {}, { embedded: { ...file.regions.north?.embedded, admin: "127.0.0.1:1" } });
    };
    expect(fault(spoiled)).toContain("127.0.0.1:7401 is taken by regions.north.embedded.clients already");
    expect(fault(({ regions }) => void Object.assign(regions.south ?? {}, { dataCenter: "dc_1" }))).toContain("dc_1 is taken");
    const free = { clients: "127.0.0.1:0", peers: "127.0.0.1:0", admin: "127.0.0.1:0" };
    const topology = parse(({ regions }) => {
      for (const region of Object.values(regions)) region.embedded = free;
    });
    expect(topology.region("north").embedded).toEqual(free);
  });

  it("refuses an embedded address beyond the machine", () => {
    expect(fault(({ regions }) => void Object.assign(regions.south?.embedded ?? {}, { peers: "0.0.0.0:7412" }))).toContain(
      "regions.south.embedded.peers",
    );
  });

  it("refuses networks that overlap", () => {
    const narrow = (cidr: string) => fault(({ regions }) => void Object.assign(regions.south ?? {}, { cidr }));
    expect(narrow("10.1.128.0/20")).toContain("10.1.128.0/20 overlaps with north's 10.1.0.0/16");
    expect(narrow("10.0.0.0/8")).toContain("overlaps");
    expect(narrow("10.2.0.0")).toContain("regions.south.cidr");
  });

  it("refuses settings that it does not know, text that is no JSON, and a file that is not there", async () => {
    expect(fault((file) => ({ ...file, latency: 3 }))).toContain("latency");
    expect(() => Topology.parse("{", "test.json")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    await expect(Topology.read("/nowhere/topology.json")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("/nowhere/topology.json"),
    });
  });
});
