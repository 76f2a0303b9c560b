import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/index.ts";
import { verifyRecord } from "../../../src/verify/verdict.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { CliRun, EXIT, type Surroundings } from "./harness.ts";

const lines = (text: string) => text.split("\n").slice(0, -1);
const facts = (text: string) => lines(text).map((line) => JSON.parse(line) as Record<string, unknown>);

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meridian-replay-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A chat of so many lines by three nicks, with two lines that are no messages. */
function chat(name: string, messages: number): string {
  const said = Array.from({ length: messages }, (_, at) => `[12:00] <${["ada", "bob", "cyd"][at % 3]}> yes`);
  const file = join(folder, name);
  writeFileSync(file, ["* ada joins", "", ...said, ""].join("\n"));
  return file;
}

function runOf(cluster: FakeCluster, surroundings: Surroundings = {}): CliRun {
  const cli = new CliRun({
    connect: (options) => cluster.connect(options),
    admins: (endpoint) => cluster.admin(endpoint),
    ...surroundings,
  });
  cluster.joins(cli.clock);
  return cli;
}

describe("meridian replay", () => {
  it("says every message once, each nick by one client, and reads it in every region", async () => {
    const cluster = new FakeCluster();
    const cli = runOf(cluster);
    const { code, stdout, stderr } = await cli.run("replay", chat("standup.log", 30), chat("orders@eu-west.log", 12));
    expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: "" });
    expect(lines(stdout)).toEqual([
      "committed 42 of 42 messages by 3 nicks in 2 conversations; 0 rejected, 0 expired, 0 unknown, 0 not sent, 4 other lines skipped",
      expect.stringMatching(/^0\.0 s, [\d,]+ messages a second; acknowledged within 20 ms \(p50\), 20 ms \(p99\)$/),
      ...["us-east", "eu-west", "ap-southeast"].map(
        (region) => `${region}: 42 messages delivered within 10 ms (p50), 10 ms (p99)`,
      ),
    ]);
    expect(cli.connected).toHaveLength(12);
    expect([...cluster.senders.values()].map(({ size }) => size)).toEqual([1, 1, 1]);
  });

  it("has clients in all regions of a cluster, as its nodes' files say, and cannot lose one of them", async () => {
    const cluster = new FakeCluster();
    const cli = runOf(cluster);
    const local = join(import.meta.dirname, "../../../regions/local");
    const { code, stdout } = await cli.run("replay", chat("standup.log", 30), "--config", local, "--clients", "1");
    expect(code).toBe(EXIT.done);
    expect(lines(stdout).slice(2)).toEqual(
      ["ap-southeast", "eu-west", "us-east"].map((region) => expect.stringMatching(`^${region}: 30 messages delivered`)),
    );
    expect(cli.connected.map(({ endpoints }) => endpoints[0])).toEqual(["127.0.0.1:7503", "127.0.0.1:7502", "127.0.0.1:7501"]);
    expect(cli.adminEndpoints).toEqual([]);
    const killing = await runOf(cluster).run("replay", chat("a.log", 3), "--config", local, "--kill-leader-at", "50");
    expect(killing.code).toBe(EXIT.usage);
  });

  it("names conversations after the files and the time, or as it is told; a home stays the home", async () => {
    const named = async (...flags: string[]) => {
      const cluster = new FakeCluster();
      await runOf(cluster).run("replay", chat("standup.log", 3), chat("orders@eu-west.log", 3), ...flags);
      return [...cluster.conversations.keys()].sort();
    };
    expect(await named()).toEqual(["orders-20260101-000000@eu-west", "standup-20260101-000000"]);
    expect(await named("--conversation-suffix", "again")).toEqual(["orders-again@eu-west", "standup-again"]);
    expect(await named("--conversation-suffix", "")).toEqual(["orders@eu-west", "standup"]);
  });

  it("keeps each nick's order, and no more sends under way than the window allows [G7] [G9]", async () => {
    const cluster = new FakeCluster();
    const cli = runOf(cluster);
    await cli.run("replay", chat("standup.log", 40), "--window", "4");
    expect(cli.clock.monotonicMs()).toBeGreaterThanOrEqual(200);
    const log = cluster.conversations.get("standup-20260101-000000")?.log ?? [];
    expect(log.map(({ sender }) => sender)).toEqual(Array.from({ length: 40 }, (_, at) => ["ada", "bob", "cyd"][at % 3]));
  });

  it("records a run with lost leaders that verifies, and verifies it when it is told to [G1] [G2]", async () => {
    const cluster = new FakeCluster();
    const record = join(folder, "run.jsonl");
    const flags = [
      "--kill-leader-at",
      "33,66",
      "--restore-after",
      "5",
      "--window",
      "4",
      "--record",
      record,
      "--verify",
      "--json",
    ];
    const { code, stdout } = await runOf(cluster).runThrough("replay", chat("standup.log", 60), ...flags);
    expect(code).toBe(EXIT.done);
    expect(cluster.faults.map(({ kind, region }) => `${kind} ${region}`)).toEqual([
      "kill us-east",
      "restore us-east",
      "kill eu-west",
      "restore eu-west",
    ]);
    const kills = facts(stdout).filter(({ report }) => report === "kill");
    expect(kills).toMatchObject([
      { atPercent: 33, region: "us-east", conversations: 1, inFlight: 4 },
      { atPercent: 66, region: "eu-west", conversations: 1, inFlight: 4 },
    ]);
    expect(kills[0]?.ledElsewhereMs).toBeGreaterThanOrEqual(3_500);
    expect(kills[0]?.restoredMs).toBeGreaterThanOrEqual(5_000);
    expect(facts(stdout).at(-1)).toMatchObject({ report: "verdict", status: "holds" });
    const verdict = await verifyRecord(lines(readFileSync(record, "utf8")));
    expect(verdict).toMatchObject({ status: "holds", lines: { send: 60, outcome: 60, delivery: 180, head: 3, fault: 4 } });
  }, 20_000);

  it("ends with code 1 after a kill that changed nothing", async () => {
    const cluster = new FakeCluster({ ignoresKills: true });
    const { code, stdout } = await runOf(cluster).run(
      "replay",
      chat("standup.log", 60),
      "--window",
      "4",
      "--kill-leader-at",
      "50",
    );
    expect(code).toBe(EXIT.violation);
    expect(stdout).toContain("PROBLEM at 50 %: the kill had no effect on standup-20260101-000000");
    expect(cluster.faults.at(-1)).toMatchObject({ kind: "restore" });
  });

  it("settles unknown outcomes before its end, and ends with code 3 when messages were not accepted [G6]", async () => {
    const error = new MeridianError("OVERLOADED", "too many");
    const cluster = new FakeCluster({
      outcomeOf: (n) => {
        if (n === 2) return { status: "unknown", retryKey: "k" };
        return n === 3 ? { status: "rejected", error } : undefined;
      },
    });
    const { code, stdout } = await runOf(cluster).run("replay", chat("standup.log", 9));
    expect(code).toBe(EXIT.unavailable);
    expect(stdout).toContain("committed 7 of 9 messages by 3 nicks in 1 conversation; 1 rejected, 1 expired, 0 unknown");
  });

  it("says no more when it is interrupted, and ends in good order", async () => {
    const cli = runOf(new FakeCluster());
    const code = cli.begin("replay", chat("standup.log", 200), "--window", "1", "--json");
    await cli.clock.advance(500);
    cli.stop.abort();
    expect(await cli.clock.until(code)).toBe(EXIT.done);
    const [sends] = facts(cli.stdout);
    expect(sends?.committed).toBeGreaterThan(10);
    expect(sends?.unsent).toBe(200 - Number(sends?.committed));
    expect(cli.stderr).toContain("stopped before everything was said");
  });

  it("works with named nodes: then there is one region, which they tell", async () => {
    const cluster = new FakeCluster();
    const { code, stdout } = await runOf(cluster).run("replay", chat("standup.log", 6), "-e", "mars:1", "--json");
    expect(code).toBe(EXIT.done);
    expect(facts(stdout).filter(({ report }) => report === "region")).toMatchObject([{ region: "mars", delivered: 6 }]);
    const environment = { MERIDIAN_ENDPOINTS: "mars:1" };
    const ran = await runOf(cluster, { environment }).run("replay", chat("standup.log", 6), "--kill-leader-at", "50");
    expect(ran).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining("no region can be lost") });
  });

  it("draws a bar for a person at a terminal, and for nobody else", async () => {
    const file = chat("standup.log", 60);
    const shown = async (terminal: boolean, ...flags: string[]) =>
      (await runOf(new FakeCluster(), { terminal }).run("replay", file, "--window", "1", ...flags)).stderr;
    expect(await shown(true)).toMatch(/\[#+\.+\] \d+ % \d+ of 60 messages, \d+ a second\r/);
    expect(await shown(true, "--json")).toBe("");
    expect(await shown(false)).toBe("");
  });

  it.each([
    [["nowhere.log"], "nowhere.log cannot be read"],
    [["--verify", "standup.log"], "there would be no record to verify"],
    [["empty.log"], "these files hold no messages"],
    [["standup.log", "standup.txt"], "two files would be the one conversation"],
    [["standup.log", "--kill-leader-at", "0,50"], "whole numbers from 1 to 99"],
    [["standup.log", "--record", "no/such/folder.jsonl"], "cannot be written"],
  ])("refuses what cannot be replayed: %j", async (args, why) => {
    for (const name of ["standup.log", "standup.txt"]) chat(name, 3);
    chat("empty.log", 0);
    const placed = args.map((arg) => (/\.(?:log|txt)$/.test(arg) && arg !== "nowhere.log" ? join(folder, arg) : arg));
    const { code, stderr } = await runOf(new FakeCluster()).runThrough("replay", ...placed);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain(why);
  });
});

describe("meridian drill", () => {
  it("measures what was lost and for how long nothing went on, and passes within the bounds [G2]", async () => {
    const cluster = new FakeCluster();
    const record = join(folder, "drill.jsonl");
    const { code, stdout } = await runOf(cluster).runThrough("drill", "--region", "us-east", "--record", record);
    expect(lines(stdout)).toEqual([
      expect.stringMatching(/^lost us-east, which led 6 conversations, with \d+ sends in flight$/),
      expect.stringMatching(/^RPO holds: 0 of [\d,]+ acknowledged messages missing \(bound 0\)$/),
      "RTO holds: 3.5 s, the worst of 6 conversations (bound 5.3 s)",
      "readers were handed nothing for at most: us-east 3.6 s, eu-west 3.6 s, ap-southeast 3.6 s",
      expect.stringMatching(
        /^us-east restored after 10\.0 s: its replica whole 0\.0 s later, leading again 0\.\d s later; longest stall/,
      ),
      expect.stringMatching(/^all sends: [\d,]+ committed, 0 rejected, 0 expired, 0 unknown$/),
      "passed",
    ]);
    expect(code).toBe(EXIT.done);
    expect([...cluster.conversations.keys()][0]).toMatch(/^drill-20260101-000000-\d@us-east$/);
    expect(await verifyRecord(lines(readFileSync(record, "utf8")))).toMatchObject({ status: "holds", lines: { fault: 2 } });
  }, 20_000);

  it("ends with code 1 when acknowledged messages are missing, and names them", async () => {
    const { code, stdout } = await runOf(new FakeCluster({ forgets: [7] })).run("drill", "--conversations", "1");
    expect(code).toBe(EXIT.violation);
    expect(stdout).toMatch(/^RPO IS BROKEN: 3 of .*: drill-20260101-000000-1@us-east#7 in us-east, /m);
    expect(stdout).toContain("\nNOT PASSED\n");
  });

  it("ends with code 1 when it took too long until a conversation went on", async () => {
    const { code, stdout } = await runOf(new FakeCluster({ takeoverMs: 6_000 })).run("drill", "--json");
    expect(code).toBe(EXIT.violation);
    expect(facts(stdout)).toContainEqual({ report: "rto", rtoMs: expect.any(Number), boundMs: 5_300 });
    expect(facts(stdout).at(-1)).toEqual({ report: "verdict", passed: false });
  });

  it("takes a loss that changed nothing for a problem", async () => {
    const { code, stdout } = await runOf(new FakeCluster({ ignoresKills: true })).run("drill", "--conversations", "1");
    expect(code).toBe(EXIT.violation);
    expect(stdout).toContain("PROBLEM: drill-20260101-000000-1@us-east was led nowhere else with a higher epoch");
  });

  it("breaks nothing while a region is broken already", async () => {
    const cluster = new FakeCluster();
    const cli = runOf(cluster);
    await cluster.admin("127.0.0.1:7421").injectFault?.({ kind: "kill", region: "eu-west" });
    const { code, stderr } = await cli.run("drill");
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("Restore it first: meridian chaos restore eu-west");
    expect(cluster.faults).toHaveLength(1);
  });

  it("says where no regions are emulated", async () => {
    const admin = { regions: () => Promise.reject(new MeridianError("INVALID_ARGUMENT", "nothing is emulated here")) };
    const { code, stderr } = await new CliRun({ admin }).run("drill");
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("the node does not emulate regions: nothing is emulated here\nStart three regions");
  });
});
