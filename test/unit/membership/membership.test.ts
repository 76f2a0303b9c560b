import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.ts";

describe("a node that joins", () => {
  it("claims its region's shards and gives out the right to lead their conversations [R4]", async () => {
    const cluster = new Cluster();
    const a = await cluster.started("eu", "a");
    expect(a.membership.state).toEqual({ kind: "member" });
    expect(a.membership.shards()).toEqual(["eu/0", "eu/1"]);
    const tenure = await cluster.tenure(a, cluster.conversation("eu"));
    expect(tenure.look()).toBe(true);
    expect(tenure.epoch).toBe(BigInt(tenure.claim.modRevision));
    await cluster.clock.advance(20_000);
    expect(tenure.look()).toBe(true);
    await cluster.clock.until(a.membership.stop());
    expect(tenure.look()).toBe(false);
    expect(cluster.etcd.watches).toBe(0);
  });
});
