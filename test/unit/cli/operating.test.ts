import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { IdLayout } from "../../../src/ids/layout.ts";
import type { NodeStatus } from "../../../src/index.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { CliRun, EXIT, FakeClient } from "./harness.ts";

const STATUS: NodeStatus = {
  node: "n1",
  region: "local",
  version: "1.2.3",
  ready: true,
  reasons: [],
  uptimeMs: 61_000,
  leaseLeftMs: 1_949,
  worker: 3,
  clockErrorMs: 100,
  shards: ["local/0", "local/1"],
  conversations: 1,
  sessions: 0,
  counters: { "leader.messages": 2n ** 60n },
};

describe("meridian status", () => {
  const status = (change: Partial<NodeStatus> = {}) => ({ status: async () => ({ ...STATUS, ...change }) });

  it("says in one line how the node is", async () => {
    const { code, stdout } = await new CliRun({ admin: status() }).run("status");
    expect(code).toBe(EXIT.done);
    expect(stdout).toBe(
      "n1 in local (1.2.3): ready, up 61 s, lease 1.9 s, worker 3, clock ±100 ms, 2 shards, 1 conversation, 0 sessions\n",
    );
  });

  it("ends with code 3 and says why when the node does not serve", async () => {
    const admin = status({
      ready: false,
      reasons: ["it has no lease"],
      uptimeMs: 50 * 3_600_000,
      leaseLeftMs: 0,
      worker: undefined,
      clockErrorMs: undefined,
    });
    const { code, stdout } = await new CliRun({ admin }).run("status");
    expect(code).toBe(EXIT.unavailable);
    expect(stdout).toContain("NOT READY (it has no lease), up 2 d, no lease, no worker number, clock not synchronised");
  });

  it("tells machines everything, counters as decimal text", async () => {
    const { stdout } = await new CliRun({ admin: status() }).run("status", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ ready: true, counters: { "leader.messages": "1152921504606846976" } });
  });

  it("asks the node of the flag, else of the environment, else the default", async () => {
    const asked = async (environment: Record<string, string>, ...flags: string[]) => {
      const cli = new CliRun({ admin: status(), environment });
      await cli.run("status", ...flags);
      return cli.adminEndpoints;
    };
    expect(await asked({})).toEqual(["127.0.0.1:7421"]);
    expect(await asked({ MERIDIAN_ADMIN: "a:1" })).toEqual(["a:1"]);
    expect(await asked({ MERIDIAN_ADMIN: "a:1" }, "--admin", "b:2")).toEqual(["b:2"]);
  });

  it("says which address does not answer", async () => {
    const admin = {
      status: async () => {
        throw new MeridianError("UNAVAILABLE", "connection refused");
      },
    };
    const { code, stderr } = await new CliRun({ admin }).run("status");
    expect(code).toBe(EXIT.unavailable);
    expect(stderr).toContain("no answer of a node at 127.0.0.1:7421: connection refused\nIs a node running there?");
  });
});

describe("meridian ids", () => {
  it("prints an id a line, in as many calls as they take", async () => {
    const client = new FakeClient();
    const { code, stdout } = await new CliRun({ client }).run("ids", "--count", "5000");
    expect(code).toBe(EXIT.done);
    expect(stdout.split("\n").slice(0, -1)).toEqual(Array.from({ length: 5_000 }, (_, at) => String(at + 1)));
    expect(client.ids.calls).toEqual([4_096, 904]);
  });

  it("takes an id apart without a node", async () => {
    const utcMs = Date.UTC(2026, 10, 24, 12);
    const id = new IdLayout().compose({ utcMs, worker: 5, counter: 9 });
    const { stdout } = await new CliRun().run("ids", "--decode", String(id));
    expect(stdout).toBe(`id ${id} 2026-11-24T12:00:00.000Z worker 5 counter 9\n`);
    const json = await new CliRun().run("ids", "--decode", String(id), "--json");
    expect(JSON.parse(json.stdout)).toEqual({ id: String(id), time: "2026-11-24T12:00:00.000Z", utcMs, worker: 5, counter: 9 });
  });

  it("refuses to take apart what is too large to be an id", async () => {
    expect((await new CliRun().run("ids", "--decode", "9999999999999999999")).code).toBe(EXIT.usage);
  });
});

describe("meridian reset cursor", () => {
  it("sets the cursor and says its generation; without --to to the beginning", async () => {
    const calls: unknown[] = [];
    const admin = {
      resetCursor: async (...args: unknown[]) => {
        calls.push(args);
        return { generation: 3 };
      },
    };
    const { code, stdout } = await new CliRun({ admin }).run("reset", "cursor", "standup", "laptop", "--to", "7");
    expect({ code, stdout }).toEqual({ code: EXIT.done, stdout: "reset laptop of standup to 7, generation 3\n" });
    await new CliRun({ admin }).run("reset", "cursor", "standup", "laptop");
    expect(calls).toEqual([
      ["standup", "laptop", 7],
      ["standup", "laptop", 0],
    ]);
  });
});

describe("meridian reset data", () => {
  let parent: string;
  let data: string;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "meridian-reset-"));
    data = join(parent, "data");
    mkdirSync(data);
    for (const name of ["data.mdb", "lock.mdb"]) writeFileSync(join(data, name), "x");
  });

  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it("deletes the directory that the flag or the environment names", async () => {
    const { code, stdout } = await new CliRun().runOnDisk("reset", "data", "--data", data, "--yes");
    expect({ code, stdout }).toEqual({ code: EXIT.done, stdout: `deleted ${data}\n` });
    expect(existsSync(data)).toBe(false);
    const gone = await new CliRun({ environment: { MERIDIAN_DATA: data } }).runOnDisk("reset", "data", "--yes");
    expect(gone).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining(`there is no data directory ${data}`) });
  });

  it("does nothing without --yes", async () => {
    const { code, stderr } = await new CliRun().runOnDisk("reset", "data", "--data", data);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("--yes");
    expect(existsSync(join(data, "data.mdb"))).toBe(true);
  });

  it.runIf(process.platform === "linux")("does nothing while a process has the database open, and names it", async () => {
    const open = openSync(join(data, "data.mdb"), "r");
    try {
      const { code, stderr } = await new CliRun().runOnDisk("reset", "data", "--data", data, "--yes");
      expect(code).toBe(EXIT.unavailable);
      expect(stderr).toContain(`Meridian runs on ${data} already: process ${process.pid}`);
      expect(existsSync(join(data, "data.mdb"))).toBe(true);
    } finally {
      closeSync(open);
    }
  });

  it("deletes nothing of a directory that holds other files, or no database", async () => {
    writeFileSync(join(data, "thesis.txt"), "mine");
    const strange = await new CliRun().runOnDisk("reset", "data", "--data", data, "--yes");
    expect(strange).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining("it also holds thesis.txt") });
    expect(existsSync(join(data, "data.mdb"))).toBe(true);
    const empty = join(parent, "empty");
    mkdirSync(empty);
    const nothing = await new CliRun().runOnDisk("reset", "data", "--data", empty, "--yes");
    expect(nothing).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining("it holds no database") });
    expect(existsSync(empty)).toBe(true);
  });
});
