import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../src/index.ts";
import { ServeProcess } from "../support/node-process.ts";

let folder: string;
let config: string;
const running: ServeProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "meridian-serve-"));
  config = join(folder, "node.json");
  const any = "127.0.0.1:0";
  const addresses = { listen: any, peerListen: any, adminListen: any, healthListen: any };
  await writeFile(config, JSON.stringify({ ...addresses, data: join(folder, "data") }));
});

afterEach(async () => {
  for (const node of running.splice(0)) await node.kill();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<ServeProcess> {
  const node = await ServeProcess.start({ config });
  running.push(node);
  return node;
}

describe("meridian serve without a cluster", () => {
  it("runs one node with all its data in a folder, answers health checks, and ends with 0 when it is told to [G2]", async () => {
    const node = await start();
    const ask = async (path: string) => {
      const answer = await fetch(`http://${node.ready.health}${path}`);
      return `${answer.status} ${await answer.text()}`;
    };
    expect(await ask("/healthz")).toBe('200 {"live":true}\n');
    expect(await ask("/readyz")).toBe('200 {"ready":true,"reasons":[]}\n');
    const client = await connect({ endpoints: [node.ready.clients], sender: "ada" });
    try {
      expect(await client.send("standup", "kept")).toMatchObject({ status: "committed", seq: 1 });
    } finally {
      await client.close();
    }
    expect(await node.stop()).toBe(0);
    await expect(ask("/healthz")).rejects.toThrow();

    const again = await connect({ endpoints: [(await start()).ready.clients] });
    try {
      const { messages } = await again.history("standup");
      expect(messages.map(({ body }) => Buffer.from(body).toString())).toEqual(["kept"]);
    } finally {
      await again.close();
    }
  });

  it("is not started a second time on the same data", async () => {
    const node = await start();
    await expect(ServeProcess.start({ config })).rejects.toThrow(`process ${node.ready.pid}`);
  });
});
