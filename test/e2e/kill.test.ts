import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, connect, type Outcome } from "../../src/index.ts";
import { NodeProcess } from "../support/node-process.ts";

const MESSAGES = 100_000;
const KILLS = 20;
const PRODUCERS = 20;
const CONVERSATIONS = ["alpha", "beta", "gamma", "delta"];
const PER_PRODUCER = MESSAGES / PRODUCERS;

interface Delivered {
  readonly seq: number;
  readonly id: bigint;
  readonly text: string;
}

/** A node that is killed and started again on the same data and the same ports. */
class MortalNode {
  readonly #data: string;
  #process: NodeProcess | undefined;
  kills = 0;

  constructor(data: string) {
    this.#data = data;
  }

  get address(): string {
    return (this.#process as NodeProcess).ready.clients;
  }

  async start(): Promise<void> {
    const before = this.#process?.ready;
    const same = before === undefined ? {} : { listen: before.clients, adminListen: before.admin };
    this.#process = await NodeProcess.start({ data: this.#data, ...same });
  }

  async killAndRestart(): Promise<void> {
    await this.#process?.kill();
    this.kills += 1;
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}

/** At which acks the node is killed: one at a random place of each of as many equal parts of the load. */
function killPoints(): number[] {
  const part = MESSAGES / KILLS;
  return Array.from({ length: KILLS }, (_, i) => Math.floor(part * (i + 0.05 + 0.9 * Math.random())));
}

describe("a node that is killed at random moments of a load", () => {
  const data = mkdtempSync(join(tmpdir(), "meridian-kill-"));
  const node = new MortalNode(data);
  let client: Client;

  beforeAll(async () => {
    await node.start();
    client = await connect({ endpoints: [node.address], sender: "reader" });
  });

  afterAll(async () => {
    await client.close();
    await node.stop();
    rmSync(data, { recursive: true, force: true });
  });

  it(`loses nothing acknowledged and doubles nothing over ${KILLS} kills in ${MESSAGES} messages [G1] [G2] [G3] [G4] [G7]`, async () => {
    const delivered = new Map<string, Delivered[]>(CONVERSATIONS.map((conversation) => [conversation, []]));
    const subscriptions = await Promise.all(
      CONVERSATIONS.map((conversation) =>
        client.subscribe(conversation, {
          after: 0,
          onMessage: ({ seq, id, body }) => {
            delivered.get(conversation)?.push({ seq, id, text: Buffer.from(body).toString() });
          },
        }),
      ),
    );

    const points = killPoints();
    let acked = 0;
    let killing: Promise<void> = Promise.resolve();
    const outcomes = new Map<string, Outcome>();
    const onOutcome = (text: string, outcome: Outcome) => {
      outcomes.set(text, outcome);
      acked += 1;
      if (points[0] === undefined || acked < points[0]) return;
      points.shift();
      killing = killing.then(() => node.killAndRestart());
    };
    await Promise.all(Array.from({ length: PRODUCERS }, (_, producer) => load(client, producer, onOutcome)));
    await killing;
    expect(node.kills).toBe(KILLS);

    for (const [text, outcome] of outcomes) {
      if (outcome.status === "unknown") outcomes.set(text, await client.resolve(outcome.retryKey));
    }
    expect(outcomes.size).toBe(MESSAGES);
    const committed = new Map(
      [...outcomes].flatMap(([text, outcome]) => (outcome.status === "committed" ? [[text, outcome]] : [])),
    );
    const others = [...outcomes.values()].filter(({ status }) => status !== "committed" && status !== "expired");
    expect(others).toEqual([]);

    await expect
      .poll(() => [...delivered.values()].reduce((sum, { length }) => sum + length, 0), { timeout: 60_000, interval: 100 })
      .toBeGreaterThanOrEqual(committed.size);
    for (const subscription of subscriptions) await subscription.close();
    for (const list of delivered.values()) {
      const gaps = list.filter(({ seq }, i) => i > 0 && seq <= (list[i - 1] as Delivered).seq);
      expect(gaps).toEqual([]);
      const falling = list.filter(({ id }, i) => i > 0 && id <= (list[i - 1] as Delivered).id);
      expect(falling).toEqual([]);
    }
    const all = [...delivered.values()].flat();
    expect(all.length).toBe(committed.size);
    expect(new Set(all.map(({ text }) => text)).size).toBe(committed.size);
    expect(new Set(all.map(({ id }) => id)).size).toBe(committed.size);
    const displaced = all.filter(({ seq, id, text }) => committed.get(text)?.seq !== seq || committed.get(text)?.id !== id);
    expect(displaced).toEqual([]);
    for (const list of delivered.values()) expectProducersInOrder(list);
  }, 600_000);
});

/** One producer's share: as many sends at a time as keep the node busy, in order, over all conversations. */
async function load(client: Client, producer: number, onOutcome: (text: string, outcome: Outcome) => void): Promise<void> {
  const sender = client.producer({ sender: `producer-${producer}` });
  const window: Promise<void>[] = [];
  for (let n = 0; n < PER_PRODUCER; n += 1) {
    const text = `${producer}/${n}`;
    const conversation = CONVERSATIONS[n % CONVERSATIONS.length] as string;
    window.push(sender.send(conversation, text).then((outcome) => onOutcome(text, outcome)));
    if (window.length >= 64) await window.shift();
  }
  await Promise.all(window);
}

function expectProducersInOrder(list: readonly Delivered[]): void {
  const last = new Map<string, number>();
  for (const { text } of list) {
    const [producer, n] = text.split("/") as [string, string];
    expect(Number(n)).toBeGreaterThan(last.get(producer) ?? -1);
    last.set(producer, Number(n));
  }
}
