import { describe, expect, it } from "vitest";
import { exitCodeOf } from "../../../src/cli/exit-code.ts";
import { CODES, type Code, MeridianError } from "../../../src/kernel/errors.ts";
import { CliRun, EXIT, FakeClient } from "./harness.ts";

const COMMANDS = [
  [],
  ["start"],
  ["send"],
  ["resolve"],
  ["tail"],
  ["history"],
  ["locate"],
  ["status"],
  ["topology"],
  ["chaos"],
  ["chaos", "kill"],
  ["chaos", "restore"],
  ["chaos", "partition"],
  ["chaos", "skew"],
  ["replay"],
  ["demo"],
  ["drill"],
  ["verify"],
  ["ids"],
  ["reset"],
  ["reset", "data"],
  ["reset", "cursor"],
];

describe("the program", () => {
  it.each(COMMANDS)("explains itself with examples on stdout: meridian %s %s --help", async (...command) => {
    const { code, stdout, stderr } = await new CliRun().run(...command, "--help");
    expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: "" });
    expect(stdout).toContain(["Usage: meridian", ...command].join(" "));
    expect(stdout).toMatch(/Examples:\n {2}\$ meridian /);
  });

  it("says its version", async () => {
    expect(await new CliRun().run("--version")).toEqual({ code: EXIT.done, stdout: "1.2.3\n", stderr: "" });
  });

  it.each([
    [[], "Usage:"],
    [["sned"], "Did you mean send?"],
    [["send", "standup"], "missing required argument 'text'"],
    [["tail", "standup", "--after", "-1"], "whole number from 0"],
    [["tail", "standup", "--after", "1", "--from-start"], "cannot be used with"],
    [["tail", "standup", "--last", "1", "--from-start"], "cannot be used with"],
    [["history", "standup", "--limit", "0"], "whole number from 1"],
    [["send", "standup", "x", "--timeout", "61"], "whole number from 1 to 60"],
    [["ids", "--decode", "abc"], "decimal digits"],
    [["chaos", "skew", "eu-west", "--ms", "soon"], "whole number from -86400000"],
    [["tail", "standup", "--region", "eu-west", "-e", "a:1"], "cannot be used with"],
  ])("ends with code 2 and says why on stderr: meridian %j", async (args, why) => {
    const { code, stdout, stderr } = await new CliRun().run(...args);
    expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: "" });
    expect(stderr).toContain(why);
  });

  it("tells an error with what to do about it, and no stack", async () => {
    const client = new FakeClient();
    client.history = async () => {
      throw new MeridianError("CORRUPT", "the log is damaged", { advice: "Compare the replicas." });
    };
    const { code, stderr } = await new CliRun({ client }).run("history", "standup");
    expect(code).toBe(EXIT.violation);
    expect(stderr).toBe("meridian: the log is damaged\nCompare the replicas.\n");
    expect(client.isClosed).toBe(true);
  });

  it("tells machines an error as JSON, on stderr", async () => {
    const client = new FakeClient();
    client.history = async () => {
      throw new MeridianError("TRUNCATED", "gone", { details: { first: "7" } });
    };
    const { code, stdout, stderr } = await new CliRun({ client }).run("history", "standup", "--json");
    expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: "TRUNCATED", message: "gone", retry: "never", details: { first: "7" } },
    });
  });

  it("has an exit code for every error: what may go well later is unavailable, what is broken is a violation", () => {
    const codes = (Object.keys(CODES) as Code[]).filter((code) => CODES[code].retry !== "never");
    expect(new Set(codes.map(exitCodeOf))).toEqual(new Set([EXIT.unavailable]));
    expect([exitCodeOf("CORRUPT"), exitCodeOf("INTERNAL")]).toEqual([EXIT.violation, EXIT.violation]);
    expect([exitCodeOf("INVALID_ARGUMENT"), exitCodeOf("NOT_FOUND")]).toEqual([EXIT.usage, EXIT.usage]);
  });

  it("takes nodes from the flags, else from the environment, else the default", async () => {
    const endpoints = async (environment: Record<string, string>, ...flags: string[]) => {
      const cli = new CliRun({ client: new FakeClient(), environment });
      await cli.run("history", "standup", ...flags);
      return cli.connected[0]?.endpoints;
    };
    const environment = { MERIDIAN_ENDPOINTS: "10.0.0.1:7401, 10.0.0.2:7401," };
    expect(await endpoints({})).toEqual(["127.0.0.1:7401"]);
    expect(await endpoints(environment)).toEqual(["10.0.0.1:7401", "10.0.0.2:7401"]);
    expect(await endpoints(environment, "-e", "a:1", "--endpoint", "b:2")).toEqual(["a:1", "b:2"]);
  });

  it("tells the connection's troubles to a person at a terminal, and to nobody else", async () => {
    const error = new MeridianError("UNAVAILABLE", "connection refused");
    const told = async (terminal: boolean, ...flags: string[]) => {
      const client = new FakeClient();
      client.generateIds = async () => {
        client.enters({ status: "connecting", endpoint: "a:1" });
        client.enters({ status: "waiting", retryInMs: 400, error });
        client.enters({ status: "ready", endpoint: "a:1", node: "n1", region: "local", rttMs: 3 });
        return [1n];
      };
      return (await new CliRun({ client, terminal }).run("ids", ...flags)).stderr;
    };
    expect(await told(true)).toBe("out of reach: connection refused; next try in 0.4 s\nconnected to n1 in local\n");
    expect(await told(true, "--json")).toBe("");
    expect(await told(false)).toBe("");
  });
});
