import { describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { CliRun, EXIT, FakeClient } from "./harness.ts";

const UNAVAILABLE = new MeridianError("UNAVAILABLE", "the deadline has passed");

describe("meridian send", () => {
  it("sends the argument and says in one line where it stands", async () => {
    const client = new FakeClient();
    const ran = await new CliRun({ client }).run("send", "standup", "good morning");
    expect(ran).toEqual({ code: EXIT.done, stdout: "committed standup#42 id 72057594037927936 0 ms\n", stderr: "" });
    expect(client.sent).toMatchObject([
      { conversation: "standup", body: "good morning", options: { type: "text/plain", deadlineMs: 10_000 } },
    ]);
    expect(client.isClosed).toBe(true);
  });

  it("says from which region to which one the message went, once the node has said so", async () => {
    const client = new FakeClient();
    client.enters({ status: "ready", endpoint: "a:1", node: "n1", region: "us-east", rttMs: 1 });
    const { stdout } = await new CliRun({ client }).run("send", "standup", "x");
    expect(stdout).toBe("committed standup#42 id 72057594037927936 0 ms us-east → local\n");
    const json = await new CliRun({ client }).run("send", "standup", "x", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ status: "committed", from: "us-east", home: "local" });
  });

  it("does not wait for where the message went when it is not known soon [G9]", async () => {
    const client = new FakeClient();
    client.enters({ status: "ready", endpoint: "a:1", node: "n1", region: "us-east", rttMs: 1 });
    client.locate = () => new Promise(() => {});
    const cli = new CliRun({ client });
    expect((await cli.run("send", "standup", "x")).stdout).toBe("committed standup#42 id 72057594037927936 0 ms\n");
    expect(cli.clock.monotonicMs()).toBe(1_000);
  });

  it("tells machines the same as one JSON object, ids as decimal text", async () => {
    const { stdout } = await new CliRun({ client: new FakeClient() }).run("send", "standup", "x", "--json");
    const facts = { status: "committed", conversation: "standup", tookMs: 0, seq: 42, id: "72057594037927936" };
    expect(JSON.parse(stdout)).toEqual(facts);
  });

  it("sends the standard input for -, byte by byte", async () => {
    const client = new FakeClient();
    await new CliRun({ client, stdin: [Uint8Array.of(0xff, 0), Uint8Array.of(10)] }).run("send", "standup", "-");
    expect(client.sent[0]).toMatchObject({ body: Buffer.of(0xff, 0, 10), options: { type: "" } });
  });

  it("stops reading a standard input that no node could take [G9]", async () => {
    const stdin = Array.from({ length: 3 }, () => new Uint8Array(LIMITS.bodyBytesCeiling / 2 + 1));
    const { code, stderr } = await new CliRun({ client: new FakeClient(), stdin }).run("send", "standup", "-");
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("the standard input has more than 1048576 bytes");
  });

  it("takes the sender from the flag, else from $USER, else it is anonymous", async () => {
    const sender = async (environment: Record<string, string>, ...flags: string[]) => {
      const cli = new CliRun({ client: new FakeClient(), environment });
      await cli.run("send", "standup", "x", ...flags);
      return cli.connected[0]?.sender;
    };
    expect(await sender({})).toBe("anonymous");
    expect(await sender({ USER: "" })).toBe("anonymous");
    expect(await sender({ USER: "ada" })).toBe("ada");
    expect(await sender({ USER: "ada" }, "--sender", "bob")).toBe("bob");
  });

  it("passes key, type and time-out on", async () => {
    const client = new FakeClient();
    await new CliRun({ client }).run("send", "standup", "x", "--key", "k1", "--type", "text/markdown", "--timeout", "3");
    expect(client.sent[0]?.options).toMatchObject({ key: "k1", type: "text/markdown", deadlineMs: 3_000 });
  });

  it.each([
    ["rejected", new MeridianError("KEY_CONFLICT", "used for other content"), EXIT.usage],
    ["rejected", new MeridianError("OVERLOADED", "too many"), EXIT.unavailable],
    ["expired", UNAVAILABLE, EXIT.unavailable],
  ] as const)("says that it was %s, why, and what to do: %s [G6]", async (status, error, code) => {
    const client = new FakeClient();
    client.outcome = { status, error };
    const ran = await new CliRun({ client }).run("send", "standup", "x");
    expect(ran).toEqual({ code, stdout: `${status}\n`, stderr: `meridian: ${error.message}\n${error.advice}\n` });
    const { stdout } = await new CliRun({ client }).run("send", "standup", "x", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ status, error: { code: error.code, advice: error.advice } });
  });

  it("says why no node was reached, where that is the reason", async () => {
    const client = new FakeClient();
    client.outcome = { status: "expired", error: UNAVAILABLE };
    const send = client.send.bind(client);
    client.send = async (...args) => {
      client.enters({ status: "waiting", retryInMs: 1, error: new MeridianError("UNAVAILABLE", "connection refused") });
      return send(...args);
    };
    const { code, stderr } = await new CliRun({ client }).run("send", "standup", "x");
    expect(code).toBe(EXIT.unavailable);
    expect(stderr).toContain("no node could be reached: connection refused\nIs a node running there?");
  });

  it("ends with code 4 for an unknown outcome and says how to settle it [G6]", async () => {
    const client = new FakeClient();
    client.outcome = { status: "unknown", retryKey: "WzEs" };
    const { code, stdout, stderr } = await new CliRun({ client }).run("send", "standup", "x", "--json");
    expect(code).toBe(EXIT.unknown);
    expect(JSON.parse(stdout)).toMatchObject({ status: "unknown", retryKey: "WzEs" });
    expect(stderr).toContain("meridian resolve WzEs");
  });
});

describe("meridian resolve", () => {
  it("says where the message stands after all", async () => {
    const { code, stdout } = await new CliRun({ client: new FakeClient() }).run("resolve", "WzEs");
    expect({ code, stdout }).toEqual({ code: EXIT.done, stdout: "committed seq 42 id 72057594037927936 0 ms\n" });
  });

  it("ends with code 4 as long as it is not known", async () => {
    const client = new FakeClient();
    client.outcome = { status: "unknown", retryKey: "WzEs" };
    expect((await new CliRun({ client }).run("resolve", "WzEs")).code).toBe(EXIT.unknown);
  });
});
