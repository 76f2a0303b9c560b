import { beforeEach, describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { CliRun, EXIT, FakeClient, messages } from "./harness.ts";

let client: FakeClient;

beforeEach(() => {
  client = new FakeClient();
  client.log = messages(5);
});

const lines = (text: string) => text.split("\n").slice(0, -1);

describe("meridian tail", () => {
  it.each([
    [[], "head"],
    [["--from-start"], 0],
    [["--after", "3"], 3],
    [["--last", "2"], 3],
    [["--last", "9"], 0],
    [["--consumer", "laptop"], "head"],
  ] as const)("starts where it is told: %j", async (flags, after) => {
    const cli = new CliRun({ client });
    const code = cli.begin("tail", "standup", ...flags);
    await cli.clock.advance(1);
    cli.stop.abort();
    expect(await cli.clock.until(code)).toBe(EXIT.done);
    expect(client.subscribed[0]?.after).toBe(after);
    expect(client.subscribed[0]?.consumer).toBe(flags[0] === "--consumer" ? "laptop" : undefined);
  });

  it("prints a line a message", async () => {
    const { stdout } = await new CliRun({ client }).run("tail", "standup", "--from-start", "--count", "2");
    expect(lines(stdout)).toEqual(["standup#1 2026-01-01T00:00:00.000Z ada: m1", "standup#2 2026-01-01T00:00:00.000Z ada: m2"]);
  });

  it("ends after --count messages, each of them handled: a consumer's next tail goes on after them [G4]", async () => {
    const { code } = await new CliRun({ client }).run("tail", "standup", "--after", "1", "--count", "3", "--consumer", "c");
    expect(code).toBe(EXIT.done);
    expect(client.subscriptions[0]).toMatchObject({ handled: 4, isClosed: true });
  });

  it("goes on until the user ends it, which is no failure", async () => {
    const cli = new CliRun({ client });
    const code = cli.begin("tail", "standup", "--from-start");
    await cli.clock.advance(3_600_000);
    expect(lines(cli.stdout)).toHaveLength(5);
    cli.stop.abort();
    expect(await cli.clock.until(code)).toBe(EXIT.done);
    expect(client.isClosed).toBe(true);
  });

  it("ends with the subscription's error", async () => {
    client.afterLog = new MeridianError("CORRUPT", "two watermarks differ");
    const { code, stderr } = await new CliRun({ client }).run("tail", "standup", "--from-start");
    expect(code).toBe(EXIT.violation);
    expect(stderr).toContain("two watermarks differ");
  });

  it("gives up when no node takes the subscription within ten seconds, and says why [G9]", async () => {
    client.afterLog = "never starts";
    const cli = new CliRun({ client });
    const code = cli.begin("tail", "standup");
    await cli.clock.advance(1);
    client.enters({ status: "waiting", retryInMs: 1, error: new MeridianError("UNAVAILABLE", "connection refused") });
    expect(await cli.clock.until(code)).toBe(EXIT.unavailable);
    expect(cli.clock.monotonicMs()).toBe(LIMITS.callDeadlineMs);
    expect(cli.stderr).toContain("connection refused");
  });
});

describe("meridian history", () => {
  it("prints the range that is asked for", async () => {
    const { code, stdout } = await new CliRun({ client }).run("history", "standup", "--after", "1", "--limit", "2");
    expect(code).toBe(EXIT.done);
    expect(lines(stdout).map((line) => line.split(" ")[0])).toEqual(["standup#2", "standup#3"]);
  });

  it("reads page by page what is more than one call may ask for", async () => {
    client.log = messages(2_500);
    const { stdout } = await new CliRun({ client }).run("history", "standup", "--limit", "2400", "--json");
    const seqs = lines(stdout).map((line) => (JSON.parse(line) as { seq: number }).seq);
    expect(seqs).toEqual(Array.from({ length: 2_400 }, (_, at) => at + 1));
  });

  it("ends where the conversation ends", async () => {
    const { stdout } = await new CliRun({ client }).run("history", "standup", "--limit", "5000");
    expect(lines(stdout)).toHaveLength(5);
    client.log = [];
    expect(await new CliRun({ client }).run("history", "standup")).toEqual({ code: EXIT.done, stdout: "", stderr: "" });
  });
});

describe("a printed message", () => {
  const printed = async (change: Parameters<typeof messages>[1], ...flags: string[]) => {
    client.log = messages(1, change);
    return (await new CliRun({ client }).run("history", "standup", ...flags)).stdout;
  };

  it("cannot drive the reader's terminal or look like two", async () => {
    const body = new TextEncoder().encode("a\u001b[31m\nstandup#9 bob: b\u202e\u0085");
    expect(await printed({ body, sender: "eve\r" })).toBe(
      "standup#1 2026-01-01T00:00:00.000Z eve\\u000d: a\\u001b[31m\\nstandup#9 bob: b\\u202e\\u0085\n",
    );
  });

  it("names a type that is not plain text, the size of a body that is no text, and no time that nobody said", async () => {
    expect(await printed({ type: "image/png", body: Uint8Array.of(0xff, 0xfe), sentAtMs: 0 })).toBe(
      "standup#1 ada [image/png]: (2 bytes)\n",
    );
  });

  it("is for machines all that is known of it, with ids as decimal text", async () => {
    const key = new TextEncoder().encode("k1");
    expect(JSON.parse(await printed({ key, traceparent: "00-ab-cd-01" }, "--json"))).toEqual({
      conversation: "standup",
      seq: 1,
      id: "72057594037927936",
      sender: "ada",
      producer: "7",
      key: "k1",
      type: "text/plain",
      body: "m1",
      sentAtMs: Date.UTC(2026, 0, 1),
      traceparent: "00-ab-cd-01",
    });
  });

  it("is for machines in base64 where it is no text", async () => {
    const bytes = Uint8Array.of(0xff, 0);
    expect(JSON.parse(await printed({ body: bytes, key: bytes, producer: 0n }, "--json"))).toEqual({
      conversation: "standup",
      seq: 1,
      id: "72057594037927936",
      sender: "ada",
      keyBase64: "/wA=",
      type: "text/plain",
      bodyBase64: "/wA=",
      sentAtMs: Date.UTC(2026, 0, 1),
    });
  });
});
