import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Client, connect, connectAdmin, type Outcome } from "../../src/index.ts";
import { anyPortsTopology } from "../support/any-ports.ts";
import { RegionsProcess } from "../support/node-process.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const C = "standup@us-east";

let directory: string;
let topology: string;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "meridian-regions-"));
  topology = await anyPortsTopology(directory);
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await rm(directory, { recursive: true, force: true });
});

async function start(): Promise<RegionsProcess> {
  const running = await RegionsProcess.start({ data: join(directory, "data"), topology });
  closing.push(() => running.kill());
  return running;
}

function operate({ admin: endpoint }: RegionsProcess) {
  const admin = connectAdmin({ endpoint });
  closing.push(async () => admin.close());
  return admin;
}

/** A client that lives in each region. */
async function clientsOf(running: RegionsProcess): Promise<ReadonlyMap<string, Client>> {
  const { regions } = await operate(running).regions();
  const clients = new Map<string, Client>();
  for (const { region, routes } of regions) {
    const client = await connect({ endpoints: routes.map(({ address }) => address), sender: region });
    client.on("fault", () => {});
    closing.push(() => client.close());
    clients.set(region, client);
  }
  return clients;
}

/** Everything that a reader in each region is handed. */
function readAll(clients: ReadonlyMap<string, Client>): ReadonlyMap<string, string[]> {
  return new Map(
    [...clients].map(([region, client]) => {
      const got: string[] = [];
      client.subscribe(C, { after: 0, onMessage: ({ seq, body }) => void got.push(`${seq} ${Buffer.from(body)}`) });
      return [region, got];
    }),
  );
}

/** The program's end: exit code and what it said. */
async function runToEnd(...args: readonly string[]): Promise<{ readonly code: number; readonly said: string }> {
  const child = spawn(process.execPath, [MAIN, "start", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += String(chunk);
  });
  child.stderr.on("data", (chunk) => {
    said += String(chunk);
  });
  const [code] = await once(child, "exit");
  return { code: Number(code), said };
}

describe("three regions in one process", () => {
  it("keep one order over the loss of the leading region and its return [G1] [G2] [G3] [G4] [G7]", async () => {
    const running = await start();
    const admin = operate(running);
    const clients = await clientsOf(running);
    const transcripts = readAll(clients);
    const sends: Promise<Outcome>[] = [];
    const said: string[] = [];
    const talk = async (rounds: number) => {
      for (let round = 0; round < rounds; round += 1) {
        for (const [region, client] of clients) {
          said.push(`${region} ${said.length}`);
          sends.push(client.send(C, said.at(-1) ?? ""));
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await talk(50);
    const before = await clients.get("eu-west")?.locate(C);
    await admin.injectFault({ kind: "kill", region: "us-east" });
    await talk(50);
    const away = await clients.get("eu-west")?.locate(C);
    await Promise.all(sends);
    await admin.injectFault({ kind: "restore", region: "us-east" });
    await expect
      .poll(async () => (await clients.get("eu-west")?.locate(C))?.epoch, { timeout: 30_000 })
      .toBeGreaterThan(away?.epoch ?? 0n);
    await talk(20);

    const outcomes = await Promise.all(sends);
    expect(outcomes.filter(({ status }) => status !== "committed")).toEqual([]);
    expect(away?.epoch).toBeGreaterThan(before?.epoch ?? 0n);
    const bySeq = outcomes.map((outcome, n) => [outcome.status === "committed" ? outcome.seq : 0, said[n]] as const);
    const log = bySeq.sort(([a], [b]) => a - b).map(([seq, text]) => `${seq} ${text}`);
    expect(log.map((line) => Number(line.split(" ")[0]))).toEqual(log.map((_, at) => at + 1));
    for (const [region, transcript] of transcripts) {
      await expect.poll(() => transcript.length, { timeout: 10_000 }).toBe(log.length);
      expect([region, transcript]).toEqual([region, log]);
    }
    await expect
      .poll(async () => (await admin.regions()).regions.some((one) => one.replicaBehind), { timeout: 20_000 })
      .toBe(false);
  });

  it("keep everything over a stop and a start, and over a kill -9 [G2] [G3]", async () => {
    for (const end of ["stop", "kill"] as const) {
      const running = await start();
      const clients = await clientsOf(running);
      const outcome = await clients.get("ap-southeast")?.send(C, end);
      expect(outcome).toMatchObject({ status: "committed", seq: end === "stop" ? 1 : 2 });
      await running[end]();
    }
    const clients = await clientsOf(await start());
    const { messages } = (await clients.get("us-east")?.history(C)) ?? { messages: [] };
    expect(messages.map(({ body }) => String(Buffer.from(body)))).toEqual(["stop", "kill"]);
  });

  it("are not started a second time on the same data, and the first go on", async () => {
    const running = await start();
    const { code, said } = await runToEnd("--data", join(directory, "data"), "--topology", topology);
    expect([code, said]).toEqual([3, expect.stringContaining(`process ${running.ready.pid}`)]);
    const clients = await clientsOf(running);
    expect(await clients.get("eu-west")?.send(C, "still here")).toMatchObject({ status: "committed" });
  });

  it("say which port is in use, and leave the data alone", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
    const { port } = server.address() as { readonly port: number };
    const taken = join(directory, "taken.json");
    await writeFile(taken, (await readFile(topology, "utf8")).replace("127.0.0.1:0", `127.0.0.1:${port}`));
    const { code, said } = await runToEnd("--data", join(directory, "none"), "--topology", taken);
    expect([code, said]).toEqual([3, expect.stringContaining(`cannot listen on 127.0.0.1:${port}`)]);
    await expect(readFile(join(directory, "none", "coordinator", "data.mdb"))).rejects.toThrow("ENOENT");
  });

  it("listen on loopback only", async () => {
    const open = join(directory, "open.json");
    await writeFile(open, (await readFile(topology, "utf8")).replace("127.0.0.1:0", "0.0.0.0:7401"));
    const { code, said } = await runToEnd("--data", join(directory, "none"), "--topology", open);
    expect([code, said]).toEqual([2, expect.stringContaining("127.x.x.x:port")]);
  });
});
