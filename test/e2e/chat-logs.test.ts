import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, connect } from "../../src/index.ts";
import { type ChatLog, chatLogFolder, readChatLogs } from "../support/chat-logs.ts";
import { NodeProcess } from "../support/node-process.ts";

const folder = chatLogFolder();
if (folder === undefined) console.warn("SKIPPED: real chat logs. Set MERIDIAN_CHATLOGS to a folder of them.");

describe.skipIf(folder === undefined)("real chat logs through one node", () => {
  const data = mkdtempSync(join(tmpdir(), "meridian-logs-"));
  let node: NodeProcess;
  let client: Client;

  beforeAll(async () => {
    node = await NodeProcess.start({ data });
    client = await connect({ endpoints: [node.ready.clients] });
  });

  afterAll(async () => {
    await client.close();
    await node.stop();
    rmSync(data, { recursive: true, force: true });
  });

  it("commits every line once, in each nick's order, and reads it back byte for byte [G1] [G7]", async () => {
    const logs = readChatLogs(folder as string);
    const lines = logs.reduce((sum, log) => sum + log.lines.length, 0);
    const nicks = new Set(logs.flatMap((log) => log.lines.map(({ nick }) => nick)));
    if (process.env["MERIDIAN_CHATLOGS"] === undefined) expect([logs.length, lines, nicks.size]).toEqual([48, 59_978, 5_479]);

    for (const log of logs) await sendLog(client, log);
    for (const log of logs) expect(await readBack(client, log)).toEqual(byNick(log));
  }, 300_000);
});

/** Every nick is a producer of its own; all talk at once, and each keeps its own order. */
async function sendLog(client: Client, log: ChatLog): Promise<void> {
  const producers = new Map<string, ReturnType<Client["producer"]>>();
  const outcomes = log.lines.map(({ nick, text }) => {
    const producer = producers.get(nick) ?? client.producer({ sender: nick });
    producers.set(nick, producer);
    return producer.send(log.name, text);
  });
  const settled = await Promise.all(outcomes);
  const seqs = settled.map((outcome) => (outcome.status === "committed" ? outcome.seq : outcome.status));
  expect(new Set(seqs).size).toBe(log.lines.length);
  expect(seqs.filter((seq) => typeof seq !== "number")).toEqual([]);
}

async function readBack(client: Client, log: ChatLog): Promise<Map<string, string[]>> {
  const texts = new Map<string, string[]>();
  let seq = 0;
  for await (const message of client.subscribe(log.name, { after: 0 })) {
    expect(message.seq).toBe(seq + 1);
    seq = message.seq;
    texts.set(message.sender, [...(texts.get(message.sender) ?? []), Buffer.from(message.body).toString("latin1")]);
    if (seq === log.lines.length) break;
  }
  return texts;
}

function byNick(log: ChatLog): Map<string, string[]> {
  const texts = new Map<string, string[]>();
  for (const { nick, text } of log.lines) {
    texts.set(nick, [...(texts.get(nick) ?? []), Buffer.from(text).toString("latin1")]);
  }
  return texts;
}
