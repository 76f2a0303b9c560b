import { describe, expect, it } from "vitest";
import type { NodeStatus, RegionFault } from "../../../src/index.ts";
import { MeridianError } from "../../../src/index.ts";
import { CliRun, EXIT, emulated, FakeClient } from "./harness.ts";

const lines = (text: string) => text.split("\n").slice(0, -1);

describe("--region", () => {
  it("makes a client that lives there: it takes the ways that the region's clients have, the nearest first", async () => {
    const client = new FakeClient();
    const cli = new CliRun({ client, admin: { regions: async () => emulated() }, environment: { MERIDIAN_ENDPOINTS: "a:1" } });
    const { code, stdout } = await cli.run("send", "standup", "x", "--region", "eu-west", "--admin", "b:2");
    expect(code).toBe(EXIT.done);
    expect(cli.adminEndpoints).toEqual(["b:2"]);
    expect(cli.connected[0]?.endpoints).toEqual([
      "eu-west.from.eu-west:1",
      "us-east.from.eu-west:1",
      "ap-southeast.from.eu-west:1",
    ]);
    expect(stdout).toContain("eu-west → local");
  });

  it("names the regions when there is no such one", async () => {
    const { code, stderr } = await new CliRun({ admin: { regions: async () => emulated() } }).run("ids", "--region", "mars");
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain('there is no region "mars"\nThe regions are us-east, eu-west, ap-southeast.');
  });

  it("guesses nothing where the operators' address does not answer", async () => {
    const regions = async () => {
      throw new MeridianError("UNAVAILABLE", "connection refused");
    };
    const cli = new CliRun({ admin: { regions } });
    const { code, stderr } = await cli.run("tail", "standup", "--region", "eu-west");
    expect({ code, connected: cli.connected }).toEqual({ code: EXIT.unavailable, connected: [] });
    expect(stderr).toContain("no answer of a node at 127.0.0.1:7421: connection refused");
  });
});

describe("meridian topology", () => {
  const status = (shards: number) => ({ shards: Array.from({ length: shards }, (_, at) => `x/${at}`) }) as unknown as NodeStatus;
  const shards: Record<string, number> = { "127.0.0.1:7421": 0, "127.0.0.1:7422": 255, "127.0.0.1:7423": 1 };
  const change = { "us-east": { lost: true, replicaBehind: true }, "ap-southeast": { partitionedFrom: ["eu-west"], skewMs: -5 } };
  const admins = (endpoint: string) => ({
    regions: async () => emulated(change),
    status: async () => status(shards[endpoint] ?? 0),
  });

  it("says of each region what is wrong with it, what it leads and how far it is", async () => {
    const { code, stdout } = await new CliRun({ admins }).run("topology");
    expect(code).toBe(EXIT.done);
    expect(lines(stdout)).toEqual([
      "us-east: LOST; its replica is behind; leads 0 shards; away from eu-west 80 ms, ap-southeast 80 ms; operators 127.0.0.1:7421",
      "eu-west: leads 255 shards; away from us-east 80 ms, ap-southeast 80 ms; operators 127.0.0.1:7422",
      "ap-southeast: CUT OFF from eu-west; clock wrong by -5 ms; leads 1 shard; away from us-east 80 ms, eu-west 80 ms; operators 127.0.0.1:7423",
      "the coordinator answers from eu-west; leases last 3 s",
    ]);
  });

  it("tells machines all that is known", async () => {
    const { stdout } = await new CliRun({ admins }).run("topology", "--json");
    const [east, , , coordinator] = lines(stdout).map((line) => JSON.parse(line));
    expect(east).toMatchObject({ report: "region", region: "us-east", lost: true, shards: [], routes: [{ rttMs: 0 }, {}, {}] });
    expect(coordinator).toEqual({ report: "coordinator", coordinator: "eu-west", leaseTtlMs: 3_000 });
  });
});

describe("meridian locate", () => {
  it("says who leads a conversation, under which epoch, and how far it is", async () => {
    const client = new FakeClient();
    client.locate = async () => ({ home: "eu-west", shard: 7, leader: "n2", epoch: 9n, head: { seq: 42, hash: "ab" } });
    const { stdout } = await new CliRun({ client }).run("locate", "standup");
    expect(stdout).toBe("standup is led by n2, home eu-west, shard 7, epoch 9, head #42\n");
    const json = await new CliRun({ client }).run("locate", "standup", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ conversation: "standup", epoch: "9", head: { seq: 42, hash: "ab" } });
  });
});

describe("meridian chaos", () => {
  const faulty = () => {
    const faults: RegionFault[] = [];
    return { faults, admin: { injectFault: async (fault: RegionFault) => void faults.push(fault) } };
  };

  it.each([
    [["kill"], { kind: "kill" }, "eu-west is lost"],
    [["restore"], { kind: "restore" }, "eu-west is restored"],
    [["partition"], { kind: "partition" }, "eu-west is cut off"],
    [["skew", "--ms", "-90000"], { kind: "skew", skewMs: -90_000 }, "the clock of eu-west is wrong by -90000 ms"],
  ] as const)("does to the region what it is told: %j", async ([kind, ...flags], fault, told) => {
    const { faults, admin } = faulty();
    const { code, stdout } = await new CliRun({ admin }).run("chaos", kind, "eu-west", ...flags);
    expect({ code, stdout, faults }).toEqual({ code: EXIT.done, stdout: `${told}\n`, faults: [{ region: "eu-west", ...fault }] });
  });

  it("says where nothing is emulated", async () => {
    const injectFault = async () => {
      throw new MeridianError("INVALID_ARGUMENT", "no regions are emulated here");
    };
    const { code, stderr } = await new CliRun({ admin: { injectFault } }).run("chaos", "kill", "eu-west");
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("no regions are emulated here");
  });
});
