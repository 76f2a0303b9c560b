/**
 * The cluster profile. All write batches of messages of 100 bytes at QUORUM over three data centers: the bare driver; the
 * adapter; and a node, which gets single messages from a client and makes the batches itself.
 *
 * Under full load all of them have as many messages out as a leader may have under way: eight batches of 128 in each conversation.
 * Beside a node the driver writes batches of the size that the node makes by itself. With fewer sends out, the driver is
 * compared that knows them all beforehand and writes them in one batch: nobody could do better.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { CassandraLogStore } from "../src/adapters/cassandra/log-store.ts";
import { connectAdmin, type NodeStatus } from "../src/index.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { type Append, BareDriver, batchOf } from "./bare-driver.ts";
import { compareDelays, compareRates } from "./contest.ts";
import { connectSession, KEYSPACE, startCassandra, startEtcd } from "./engines.ts";
import { Seqs, saturate } from "./load.ts";
import type { Effort } from "./main.ts";
import type { NodeReady, NodeSettings } from "./node.ts";
import { Publishers } from "./publishers.ts";
import type { Finding } from "./report.ts";

const CONVERSATIONS = 8;
const IN_FLIGHT = CONVERSATIONS * LIMITS.batchesInFlight;
const BODY_BYTES = 100;
const MESSAGES = LIMITS.batchMessages;
/** Sends out in each conversation, below full load. */
const OUT = [1, 8, MESSAGES];

export async function cluster({ rounds, durationMs, times, say }: Effort): Promise<readonly Finding[]> {
  const closing: (() => unknown)[] = [];
  try {
    const cassandra = await startCassandra(say);
    closing.push(() => cassandra.stop());
    const etcd = await startEtcd();
    closing.push(() => etcd.stop());
    const place = cassandra.placeOf();
    const driver = new BareDriver(place, KEYSPACE);
    closing.push(() => driver.close());
    const session = await connectSession(place);
    closing.push(() => session.close());
    const store = new CassandraLogStore({ session });
    const node = await startNode({ region: "us-east", etcd: etcd.endpoints, cassandra: place });
    closing.push(() => node.stop());
    const publishers = await Publishers.connect(node.ready.clients, { conversations: CONVERSATIONS, bodyBytes: BODY_BYTES });
    closing.push(() => publishers.close());

    const append: Append = async (conversation, firstSeq, bytes) => {
      const outcome = await store.append({ conversation, firstSeq, epoch: 1n, bytes });
      if (outcome !== "committed") throw new Error("an append is unknown");
    };
    const bareAppend: Append = (...row) => driver.append(...row);
    const bare = (messages: number, inFlight: number) => ({
      name: "the bare driver",
      run: batchesBy(`bare ${messages} ${inFlight}`, bareAppend, { messages, inFlight }),
    });
    const publish = (out: number) => ({ name: "a client at a node", run: (ms: number) => publishers.publish(ms, out) });
    const adapter = { name: "the adapter", run: batchesBy("adapter", append, { messages: MESSAGES, inFlight: IN_FLIGHT }) };
    const shared = { bare: bare(MESSAGES, IN_FLIGHT), rounds, durationMs, wanted: 0.7 };
    say("bench: appends, by the adapter and by the driver");
    const appends = await compareRates({ title: `appending batches, ${IN_FLIGHT} at once`, subject: adapter, ...shared });
    say("bench: publishing, and the driver");
    const before = await node.counters();
    await publishers.publish(durationMs, Publishers.most);
    const size = perBatch(before, await node.counters());
    const published = await compareRates({
      title: `durable publishing, ${CONVERSATIONS} conversations`,
      subject: publish(Publishers.most),
      ...shared,
      bare: bare(Math.round(size), IN_FLIGHT),
    });
    const lighter: Finding[] = [];
    for (const out of OUT) {
      const title = `durable publishing, ${out} out in each of ${CONVERSATIONS} conversations`;
      lighter.push(await compareRates({ title, subject: publish(out), bare: bare(out, CONVERSATIONS), rounds, durationMs }));
    }
    say("bench: delays");
    const seqs = new Seqs();
    const single = batchOf(1, BODY_BYTES);
    const delays = await compareDelays({
      title: "the ack of one message alone",
      subject: publish1(publishers),
      bare: { name: "a bare QUORUM write", once: () => driver.append("alone", seqs.take("alone", 1), single) },
      times,
      wantedMs: 3,
    });
    const full: Finding = { kind: "fact", title: "messages a batch at full load, by the node", value: size.toFixed(1) };
    return [appends, published, full, ...lighter, delays];
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

function publish1(publishers: Publishers) {
  return { name: "a client at a node", once: () => publishers.one() };
}

/** Batches of so many messages in as many conversations as there are, `inFlight` of them at once. */
function batchesBy(
  name: string,
  append: Append,
  { messages, inFlight }: { readonly messages: number; readonly inFlight: number },
) {
  const bytes = batchOf(messages, BODY_BYTES);
  const seqs = new Seqs();
  return (durationMs: number) =>
    saturate({
      inFlight,
      durationMs,
      once: (worker) => {
        const conversation = `${name} ${worker % CONVERSATIONS}`;
        return append(conversation, seqs.take(conversation, messages), bytes);
      },
      messages: () => messages,
    });
}

async function startNode(settings: NodeSettings) {
  const child = fork(fileURLToPath(new URL("node.ts", import.meta.url)), [JSON.stringify(settings)]);
  const [ready] = (await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the node ended with exit code ${code}`);
    }),
  ])) as [NodeReady];
  const admin = connectAdmin({ endpoint: ready.admin });
  const counters = async () => (await admin.status()).counters;
  const stop = async () => {
    admin.close();
    child.disconnect();
    await once(child, "exit");
  };
  return { ready, counters, stop };
}

function perBatch(before: NodeStatus["counters"], after: NodeStatus["counters"]): number {
  const grown = (name: string) => Number((after[name] ?? 0n) - (before[name] ?? 0n));
  return grown("leader.messages") / grown("leader.batches");
}
