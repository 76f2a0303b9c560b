import { describe, expect, it } from "vitest";
import { Nodes } from "../../../src/membership/nodes.ts";
import { Cluster } from "./cluster.ts";

function owner(name: string) {
  return { lease: `lease of ${name}`, address: `${name}:7411` };
}

describe("Nodes", () => {
  it("tells all live nodes, and tells when that changes", () => {
    const nodes = new Nodes();
    const seen: string[][] = [];
    const unwatch = nodes.watch(() => seen.push(nodes.all().map(({ address }) => address)));
    nodes.learn("eu", "a", owner("a"), 1);
    nodes.learn("us", "b", owner("b"), 2);
    nodes.learn("eu", "a", undefined, 3);
    nodes.learn("eu", "a", owner("a"), 2);
    nodes.forget();
    unwatch();
    nodes.learn("eu", "c", owner("c"), 4);
    expect(seen).toEqual([["a:7411"], ["a:7411", "b:7411"], ["b:7411"], []]);
  });
});

describe("Membership", () => {
  it("tells the nodes of all regions with their addresses, this one included, while they live", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    const b = await cluster.started("us", "b");
    let changes = 0;
    a.membership.watchNodes(() => {
      changes += 1;
    });
    await cluster.clock.advance(1_000);
    const addresses = () =>
      a.membership
        .nodes()
        .map(({ address }) => address)
        .sort();
    expect(addresses()).toEqual(["a.eu:7411", "b.us:7411"]);
    await cluster.clock.until(b.membership.stop());
    await cluster.clock.advance(1_000);
    expect(addresses()).toEqual(["a.eu:7411"]);
    expect(changes).toBeGreaterThan(0);
    await cluster.clock.until(a.membership.stop());
  });
});
