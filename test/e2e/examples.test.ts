import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, connect } from "../../src/index.ts";
import { ExampleProcess } from "../support/example-process.ts";
import { NodeProcess } from "../support/node-process.ts";

const FOLDER = new URL("../../examples/", import.meta.url);

let directory: string;
/** The node of the examples that let it live. */
let node: NodeProcess;
let client: Client;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "meridian-examples-"));
  node = await startNode("shared");
  client = await connect({ endpoints: [node.ready.clients], sender: "ada" });
  closing.push(() => client.close());
  // Many are about to start at once: what is stale is compiled here, once.
  expect(await start(node, "id").exitCode()).toBe(0);
});

afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await rm(directory, { recursive: true, force: true });
});

async function startNode(name: string, listen?: string): Promise<NodeProcess> {
  const data = join(directory, name);
  const started = await NodeProcess.start(listen === undefined ? { data } : { data, listen });
  closing.push(() => started.kill());
  return started;
}

/** Starts an example; its first argument is its name. */
function start(at: NodeProcess, ...args: readonly string[]): ExampleProcess {
  const running = new ExampleProcess([at.ready.clients], ...args);
  closing.push(() => running.kill());
  return running;
}

/** Runs an example to its end and answers what it printed. */
function run(...args: readonly string[]): Promise<readonly string[]> {
  return start(node, ...args).end();
}

async function say(conversation: string, count: number): Promise<void> {
  const sends = Array.from({ length: count }, (_, n) => client.send(conversation, `number ${n + 1}`));
  const outcomes = await Promise.all(sends);
  expect(outcomes.map((outcome) => outcome.status === "committed" && outcome.seq)).toEqual(outcomes.map((_, n) => n + 1));
}

async function chatOverALoss(): Promise<void> {
  const first = await startNode("chat");
  const [ada, ben] = ["ada", "ben"].map((name) => start(first, "chat", name)) as [ExampleProcess, ExampleProcess];
  await Promise.all([ada.line(/you are in/), ben.line(/you are in/)]);
  ada.say("good morning");
  await ben.line(/^ada: good/);
  ben.say("\u001b[2Jand to you");
  await ada.line(/^ben: and/);
  await first.kill();
  await Promise.all([ada.line(/is lost/), ben.line(/is lost/)]);
  ada.say("are you there?");
  await startNode("chat", first.ready.clients);
  await ben.line(/there\?/);
  const welcome = (name: string) => ["* connected to local", `* you are in standup as ${name}; leave with Ctrl-D`];
  const loss = ["* the connection is lost; what you say is sent when it is back", "* connected to local"];
  expect(await ada.end()).toEqual([...welcome("ada"), "ben: and to you", ...loss]);
  expect(await ben.end()).toEqual([...welcome("ben"), "ada: good morning", ...loss, "ada: are you there?"]);
}

async function connectionOverALoss(): Promise<void> {
  const alive = await startNode("connection");
  // The second one cannot be reached; with one endpoint there is no choice.
  const running = new ExampleProcess([alive.ready.clients, "127.0.0.1:9"], "connection");
  closing.push(() => running.kill());
  await running.line(/^served by node-1 in local, \d+\.\d ms away$/);
  await alive.kill();
  await running.line(/^UNAVAILABLE: .+; next try in \d+ ms$/);
  const lines = await running.end("SIGINT");
  expect(lines.slice(0, 2)).toEqual(["looking for the nearest node that serves", `connecting to ${alive.ready.clients}`]);
  expect(lines.at(-1)).toBe("closed");
}

async function outcomesOverARestart(): Promise<void> {
  const own = await startNode("outcome");
  const file = join(directory, "unknown-sends.txt");
  const first = start(own, "outcome", file);
  first.say("one");
  expect(await first.line(/^one/)).toBe("one: committed as #1");
  process.kill(own.ready.pid, "SIGSTOP");
  first.say("two");
  const [, retryKey = ""] = /^two: unknown, (\S+) is kept$/.exec(await first.line(/^two/)) ?? [];
  expect(await readFile(file, "utf8")).toBe(retryKey);
  await first.kill();
  process.kill(own.ready.pid, "SIGCONT");

  const second = start(own, "outcome", file);
  const settled = await second.line(/^an earlier send/);
  const reader = await connect({ endpoints: [own.ready.clients] });
  const { messages } = await reader.history("outcomes");
  await reader.close();
  const stands = messages.find(({ body }) => String(Buffer.from(body)) === "two");
  expect(settled).toMatch(stands === undefined ? /: expired, / : new RegExp(`: committed as #${stands.seq}$`));
  expect(await readFile(file, "utf8")).toBe("");
  await own.kill();
  second.say("three");
  expect(await second.line(/^three/)).toBe("three: expired, the send had no outcome before its deadline");
  await second.end();
}

async function tallyOverAKill(): Promise<void> {
  await say("tally", 300);
  const file = join(directory, "tally.json");
  const first = start(node, "cursor", file, "tally");
  await first.line(/^#30 /);
  await first.kill();
  const second = start(node, "cursor", file, "tally");
  await second.line(/^#300 /);
  await second.kill();
  const [begin = "", ...counted] = second.lines;
  const from = Number(/^counted so far: #(\d+) /.exec(begin)?.[1]);
  expect(from).toBeGreaterThanOrEqual(30);
  expect(from).toBeLessThan(300);
  const tally = (seq: number) => `#${seq} {"ada":${2 * seq}}`;
  expect(begin).toBe(`counted so far: ${tally(from)}`);
  expect(counted).toEqual(Array.from({ length: 300 - from }, (_, n) => tally(from + n + 1)));
}

const TESTS: Readonly<Record<string, readonly [title: string, test: () => Promise<void>]>> = {
  chat: ["lets two people talk, and goes on after the node was killed", chatOverALoss],
  connection: ["tells where it is served, and that it is not", connectionOverALoss],
  outcome: ["tells every end, and settles an unknown one after a restart", outcomesOverARestart],
  cursor: ["counts each message once, although it is killed", tallyOverAKill],
  consumer: [
    "tries again, sets aside, and goes on where it was",
    async () => {
      const night = (from: number) => [
        `#${from} tea: cooked at try 1`,
        `#${from + 1} soup: cooked at try 2`,
        `#${from + 2} set aside: the handler failed: nobody can cook a stone`,
      ];
      expect(await run("consumer")).toEqual(night(1));
      expect(await run("consumer")).toEqual(night(4));
    },
  ],
  history: [
    "says who leads, and shows every page",
    async () => {
      await say("pages", 25);
      const page = (from: number, to: number) => [
        `- #${from} to #${to}`,
        ...Array.from({ length: to - from + 1 }, (_, n) => `#${from + n} ada: number ${from + n}`),
      ];
      const head = "pages is led by node-1 in local and goes up to #25";
      expect(await run("history", "pages")).toEqual([head, ...page(1, 10), ...page(11, 20), ...page(21, 25)]);
      expect(await run("history", "nothing")).toEqual(["nothing is led by node-1 in local and goes up to #0"]);
    },
  ],
  id: [
    "takes unique numbers in growing order",
    async () => {
      const records = (await run("id", "4")).map((line) => JSON.parse(line));
      const ids = records.map(({ id }) => BigInt(id));
      expect(records).toEqual(ids.map((id) => ({ id: String(id), title: "a photo" })));
      expect(ids.length).toBe(4);
      for (const [at, id] of ids.entries()) expect(id).toBeGreaterThan(ids[at - 1] ?? 0n);
    },
  ],
  iteration: [
    "reads from the beginning until it is stopped",
    async () => {
      await say("loop", 3);
      const running = start(node, "iteration", "loop");
      await running.line(/^#3 /);
      const lines = await running.end("SIGINT");
      const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;
      const said = [1, 2, 3].map((n) => `#${n} <time> ada: number ${n}`);
      expect(lines.map((line) => line.replace(time, "<time>"))).toEqual([...said, "read up to #3 of 3"]);
    },
  ],
  key: [
    "has an order accepted once, over repeats and restarts",
    async () => {
      const place = (seq: number, order: string) => [
        `3 apples: order ${order} is message #${seq}`,
        `3 apples: order ${order} is message #${seq}`,
        `4 pears: order ${order} was something else. The key was used for other content: choose a new key.`,
      ];
      expect(await run("key")).toEqual(place(1, "4711"));
      const seq = Number(/#(\d+)/.exec((await run("key", "4712"))[0] ?? "")?.[1]);
      expect(seq).toBeGreaterThan(1);
      expect(await run("key")).toEqual(place(1, "4711"));
      expect(await run("key", "4712")).toEqual(place(seq, "4712"));
    },
  ],
  producer: [
    "keeps each sender's order",
    async () => {
      const lines = (await run("producer")).map((line) => /^(\w+ says \w+): #(\d+)$/.exec(line)?.slice(1) ?? []);
      const senders = ["ada", "ben", "cleo"];
      const words = ["one", "two", "three"];
      expect(lines.map(([who]) => who)).toEqual(senders.flatMap((one) => words.map((word) => `${one} says ${word}`)));
      const seqs = lines.map(([, seq]) => Number(seq));
      expect([...seqs].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      for (const at of senders.keys()) {
        const own = seqs.slice(3 * at, 3 * at + 3);
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
    },
  ],
};

describe.concurrent("the example", () => {
  for (const [name, [title, test]] of Object.entries(TESTS)) it(`${name} ${title}`, test);
});

describe("the examples", () => {
  it("are each tested, told of in the table, begin with a comment and have at most 40 lines", async () => {
    const files = (await readdir(FOLDER)).filter((file) => file.endsWith(".ts")).sort();
    expect(files).toEqual(
      Object.keys(TESTS)
        .map((name) => `${name}.ts`)
        .sort(),
    );
    const table = await readFile(new URL("README.md", FOLDER), "utf8");
    for (const file of files) {
      const text = await readFile(new URL(file, FOLDER), "utf8");
      expect([file, text.split("\n").length - 1 <= 40, text.startsWith("// ")]).toEqual([file, true, true]);
      expect(table).toContain(`| [${file}](${file}) |`);
    }
  });

  it("are listed with what they show", async () => {
    const lines = await new ExampleProcess([]).end();
    expect(lines.map((line) => line.split(" ", 1)[0])).toEqual(Object.keys(TESTS).sort());
    expect(lines).toContainEqual(expect.stringMatching(/^chat {8}A chat in the terminal: /));
  });

  it("say so when there is none of that name", async () => {
    const running = new ExampleProcess([], "../src/index");
    expect(await running.exitCode()).toBe(1);
    const names = Object.keys(TESTS).sort().join(", ");
    expect(running.complaints).toEqual([`meridian: there is no example "../src/index"; there are ${names}`]);
  });
});
