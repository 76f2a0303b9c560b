import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import { ClusterFiles } from "../../src/cli/cluster-files.ts";
import { Fleet } from "../../src/cli/load/fleet.ts";
import { withRecord } from "../../src/cli/load/record-file.ts";
import { SteadyLoad } from "../../src/cli/load/steady-load.ts";
import { fileLines } from "../../src/cli/text-lines.ts";
import { connect } from "../../src/index.ts";
import { Recorder } from "../../src/verify/recorder.ts";
import { verifyRecord } from "../../src/verify/verdict.ts";
import { TestCluster } from "../support/cluster.ts";
import { areThere } from "../support/engines.ts";

const SETTLE_MS = 3_000;
const EVERY_MS = 150;
const CONVERSATIONS = Array.from({ length: 4 }, (_, at) => `rolling-${at + 1}@us-east`);

const clock = new SystemClock({ errorMs: 100 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe.skipIf(!areThere("etcd", "cassandra"))("nodes of a cluster", () => {
  let cluster: TestCluster;
  /** By what happened: how long the conversation that fared worst had nothing acknowledged. Told, and judged by `npm run chaos`. */
  const stalls: Record<string, number> = {};

  beforeAll(async () => {
    cluster = await TestCluster.start("nodes");
    for (const name of ["us-east-1", "us-east-2", "us-east-3", "eu-west-1", "ap-southeast-1"]) await cluster.configure(name);
  });

  afterAll(() => cluster?.stop());

  const readyz = async (name: string) => {
    const answer = await fetch(`http://${cluster.node(name).config.healthListen}/readyz`);
    const { reasons } = (await answer.json()) as { readonly reasons: readonly string[] };
    return `${answer.status} ${reasons.join("; ")}`.trim();
  };

  const shardsOf = async (name: string) => (await cluster.node(name).status()).shards.length;

  it("are refused before init was run, which may be repeated [R12]", async () => {
    const refused = await cluster.run("serve", "--config", cluster.node("us-east-1").file);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("run `meridian init`") });
    const made = await cluster.run("init", "--config", cluster.node("us-east-1").file, "--json");
    expect(made).toMatchObject({ code: 0, stdout: '{"keyspace":"meridian","from":0,"to":2}\n' });
    const again = await cluster.run("init", "--config", cluster.node("eu-west-1").file, "--json");
    expect(again).toMatchObject({ code: 0, stdout: '{"keyspace":"meridian","from":2,"to":2}\n' });
  });

  it("share a region's shards; when one joins, leaves or is restarted, nothing is lost or repeated [G1] [G2] [G3] [G4] [G7]", async () => {
    for (const name of ["us-east-1", "eu-west-1", "ap-southeast-1", "us-east-2"]) await cluster.node(name).start();
    expect(await readyz("us-east-1")).toBe("200");
    await expect.poll(() => shardsOf("us-east-2"), { timeout: 20_000, interval: 500 }).toBeGreaterThan(40);

    const files = ClusterFiles.read([cluster.folder]);
    const homes = files.regions.map((region) => ({ region, endpoints: files.endpointsFrom(region) }));
    const record = join(cluster.folder, "record.jsonl");
    await withRecord(record, async (sink) => {
      const regions = homes.map(({ region }) => region);
      const recorder = new Recorder({ sink, clock, about: "rolling restart", regions, conversations: CONVERSATIONS });
      const fleet = await Fleet.open({
        connect,
        agent: "test",
        clock,
        recorder,
        homes,
        clientsPerRegion: 1,
        onTrouble: () => {},
      });
      const says = (region: string, _: string, n: number) => [{ sender: region, text: `${region} ${n}` }];
      const load = new SteadyLoad({ clock, fleet, conversations: CONVERSATIONS, everyMs: EVERY_MS, says });
      /** What happens, and a while until it has settled. */
      const during = async (what: string, work: () => Promise<unknown>) => {
        load.measureFrom(clock.monotonicMs());
        await work();
        await pause(SETTLE_MS);
        stalls[what] = Math.round(load.longestStallMs());
      };
      try {
        await fleet.read(CONVERSATIONS, () => {});
        load.start();
        await during("nothing", () => pause(SETTLE_MS));
        await during("us-east-3 joins", async () => {
          await cluster.node("us-east-3").start();
          await expect.poll(() => shardsOf("us-east-3"), { timeout: 20_000, interval: 500 }).toBeGreaterThan(20);
        });
        await during("us-east-3 leaves", () => cluster.node("us-east-3").stop());
        for (const name of ["us-east-1", "us-east-2", "ap-southeast-1"]) {
          await during(`${name} stops`, async () => expect(await cluster.node(name).stop()).toBe(0));
          await during(`${name} comes back`, () => cluster.node(name).start());
        }
        await load.stop();
        expect(await fleet.catchUp(CONVERSATIONS)).toEqual([]);
      } finally {
        await fleet.close();
        console.info(`stalls in ms: ${JSON.stringify(stalls)}; ${JSON.stringify(load.counts)}`);
      }
      await recorder.end();
      expect(load.counts).toMatchObject({ rejected: 0, expired: 0, unknown: 0 });
    });
    const verdict = await verifyRecord(fileLines(record));
    expect(verdict).toMatchObject({ status: "holds" });
  }, 600_000);

  it("are not ready any more while they hand over, end all the same when a data center is lost, and at once when told twice", async () => {
    await cluster.cassandra.on("kill", "ap_southeast");
    const stopping = cluster.node("us-east-2").stop();
    await expect.poll(() => readyz("us-east-2"), { interval: 5 }).toBe("503 the node is stopping");
    expect(await stopping).toBe(0);

    // Without a majority of the log the conversations cannot be put aside, and the node would try for seconds.
    await cluster.cassandra.on("pause", "eu_west");
    const hasty = cluster.node("us-east-1");
    const ended = hasty.stop();
    await expect.poll(() => readyz("us-east-1"), { interval: 5 }).toBe("503 the node is stopping");
    hasty.interrupt();
    expect(await ended).toBe(null);
  });
});
