import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/index.ts";
import { CliRun, EXIT, FakeClient } from "./harness.ts";

const LOCAL = fileURLToPath(new URL("../../../regions/local", import.meta.url));
const US_EAST = join(LOCAL, "us-east-1.json");

describe("--config of client commands", () => {
  const sent = async (...flags: readonly string[]) => {
    const cli = new CliRun({ client: new FakeClient(), environment: { MERIDIAN_ENDPOINTS: "a:1" } });
    const ran = await cli.run("send", "standup", "x", ...flags);
    return { ...ran, endpoints: cli.connected[0]?.endpoints };
  };

  it("takes the nodes from the files that they were started with, one by one or by their folder", async () => {
    const all = ["127.0.0.1:7503", "127.0.0.1:7502", "127.0.0.1:7501"];
    expect((await sent("--config", LOCAL)).endpoints).toEqual(all);
    expect((await sent("--config", US_EAST, "--config", join(LOCAL, "eu-west-1.json"))).endpoints).toEqual([
      "127.0.0.1:7501",
      "127.0.0.1:7502",
    ]);
  });

  it("makes a client that lives in a region: its nodes first, then those of the others, the nearest first", async () => {
    expect((await sent("--config", LOCAL, "--region", "us-east")).endpoints).toEqual([
      "127.0.0.1:7501",
      "127.0.0.1:7502",
      "127.0.0.1:7503",
    ]);
    expect((await sent("--config", LOCAL, "--region", "ap-southeast")).endpoints).toEqual([
      "127.0.0.1:7503",
      "127.0.0.1:7502",
      "127.0.0.1:7501",
    ]);
  });

  it("says which file is no node's, and which regions there are", async () => {
    expect(await sent("--config", LOCAL, "--region", "mars")).toMatchObject({
      code: EXIT.usage,
      stderr: expect.stringContaining("The regions with nodes are ap-southeast, eu-west, us-east."),
    });
    const topology = join(LOCAL, "..", "topology.json");
    expect(await sent("--config", topology)).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining(topology) });
    expect(await sent("--config", join(LOCAL, "none"))).toMatchObject({ code: EXIT.usage });
    expect(await sent("--config", LOCAL, "-e", "a:1")).toMatchObject({ code: EXIT.usage });
  });
});

describe("meridian status --config", () => {
  it("says how each node is, also when one of them does not answer", async () => {
    const status = { node: "n", region: "r", version: "1", ready: true, reasons: [], uptimeMs: 0, leaseLeftMs: 1, worker: 1 };
    const cli = new CliRun({
      admins: (endpoint) => ({
        status: async () => {
          if (endpoint === "127.0.0.1:7522") throw new MeridianError("UNAVAILABLE", "connection refused");
          return { ...status, clockErrorMs: 1, shards: [], conversations: 0, sessions: 0, counters: {} };
        },
      }),
    });
    const { code, stdout, stderr } = await cli.run("status", "--config", LOCAL);
    expect(code).toBe(EXIT.unavailable);
    expect(stdout.match(/ready/g)).toHaveLength(2);
    expect(stderr).toContain("no answer of a node at 127.0.0.1:7522");
  });
});

describe("meridian config print", () => {
  const print = (environment: Record<string, string>, ...flags: readonly string[]) =>
    new CliRun({ environment }).run("config", "print", ...flags);

  it("says each setting and where it comes from, with defaults only if asked", async () => {
    const { code, stdout } = await print({ MERIDIAN_LOG_LEVEL: "info" }, "--config", US_EAST);
    expect(code).toBe(EXIT.done);
    expect(stdout).toMatch(/^etcd\.prefix +meridian-local\/ +file .*us-east-1\.json$/m);
    expect(stdout).toMatch(/^logLevel +info +environment MERIDIAN_LOG_LEVEL$/m);
    expect(stdout).not.toContain("default");
    const all = await print({}, "--config", US_EAST, "--effective", "--set", "cassandra.port=9142");
    expect(all.stdout).toMatch(/^cassandra\.port +9142 +flag$/m);
    expect(all.stdout).toMatch(/^lease\.renewMs +1000 +default$/m);
  });

  it("masks secrets, and tells machines the same", async () => {
    const secret = { MERIDIAN_CASSANDRA_USERNAME: "m", MERIDIAN_CASSANDRA_PASSWORD: "hush" };
    const { stdout } = await print(secret, "--config", US_EAST, "--json");
    expect(stdout).not.toContain("hush");
    const lines = stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toContainEqual({
      setting: "cassandra.password",
      value: "********",
      origin: "environment MERIDIAN_CASSANDRA_PASSWORD",
    });
  });

  it("says what is wrong with exit code 2", async () => {
    const { code, stderr } = await print({}, "--config", US_EAST, "--set", "lease.ttlMs=2000");
    expect({ code, stderr }).toEqual({ code: EXIT.usage, stderr: expect.stringContaining("lease (flag): three renewals") });
    expect(await print({}, "--set", "nothing")).toMatchObject({ code: EXIT.usage });
  });
});

describe("meridian serve and init", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "meridian-config-"));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("refuse a wrong setting before they touch anything, and name it with its file", async () => {
    const file = join(folder, "node.json");
    writeFileSync(file, JSON.stringify({ etcd: { endpoint: "127.0.0.1:2379" } }));
    for (const command of ["serve", "init"]) {
      const { code, stderr } = await new CliRun().run(command, "--config", file);
      expect(code).toBe(EXIT.usage);
      expect(stderr).toContain(`etcd.endpoint (file ${file}): there is no such setting here`);
    }
    expect(await new CliRun().run("init")).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining("--config") });
  });

  it("say which file of secrets cannot be read, before they connect", async () => {
    const password = join(folder, "password");
    const flags = ["--config", US_EAST, "--set", "cassandra.username=m", "--set", `cassandra.passwordFile=${password}`];
    const { code, stderr } = await new CliRun().runOnDisk("init", ...flags);
    expect({ code, stderr }).toEqual({ code: EXIT.usage, stderr: expect.stringContaining("cassandra.passwordFile: ") });
  });
});
