/** Logs of some size in Cassandra: written, read again as a node reads them, and each proven whole. Tests run smaller ones. */
import { CassandraLogStore } from "../src/adapters/cassandra/log-store.ts";
import { ConsoleTelemetry } from "../src/adapters/system/telemetry.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { LogReader } from "../src/log/reader.ts";
import type { LogStore } from "../src/ports/log-store.ts";
import type { Telemetry } from "../src/ports/telemetry.ts";
import { recover } from "../src/sequencer/recovery.ts";
import { Batches } from "./batches.ts";
import { connectSession, startCassandra } from "./engines.ts";
import { each } from "./load.ts";
import type { Effort } from "./main.ts";
import type { Finding } from "./report.ts";
import { quantile } from "./statistics.ts";

const IN_FLIGHT = 64;
const EPOCH = 5n;

export async function size({ say }: Effort): Promise<readonly Finding[]> {
  const cassandra = await startCassandra(say);
  try {
    const session = await connectSession(cassandra.placeOf());
    const telemetry = new ConsoleTelemetry({ level: "warn" });
    const store = new CassandraLogStore({ session });
    try {
      say("bench: a million messages in one conversation");
      const long = await oneConversation({ store, telemetry, messages: 1_000_000, bodyBytes: 100 });
      say(`bench: ${toldOf(long)}`);
      say("bench: 64 KiB bodies");
      const large = await oneConversation({ store, telemetry, messages: 6_000, bodyBytes: LIMITS.bodyBytes });
      say(`bench: ${toldOf(large)}`);
      say("bench: 100,000 conversations");
      const many = await manyConversations({ store, conversations: 100_000 });
      return [
        { kind: "fact", title: "a million messages of 100 bytes in one conversation", value: toldOf(long) },
        { kind: "fact", title: "6,000 messages of 64 KiB in one conversation", value: toldOf(large) },
        { kind: "fact", title: "100,000 conversations", value: toldOfMany(many) },
      ];
    } finally {
      await session.close();
    }
  } finally {
    await cassandra.stop();
  }
}

export interface LongLog {
  readonly messages: number;
  readonly buckets: number;
  readonly bytes: number;
  readonly writtenMs: number;
  /** By a reader, near by, with proof of the chain. */
  readonly readMs: number;
  /** By a next leader that has no checkpoint, at QUORUM. */
  readonly recoveredMs: number;
}

/** Writes it in batches as full as they may be. Throws unless all of it is read again, and found by a next leader. */
export async function oneConversation(options: {
  readonly store: LogStore;
  readonly telemetry: Telemetry;
  readonly messages: number;
  readonly bodyBytes: number;
}): Promise<LongLog> {
  const { store, telemetry, messages, bodyBytes } = options;
  const conversation = `${messages} of ${bodyBytes}`;
  const perBatch = Math.max(1, Math.min(LIMITS.batchMessages, Math.floor(LIMITS.batchBytes / (bodyBytes + 100))));
  const batches = new Batches({ conversation, messages: perBatch, bodyBytes, epoch: EPOCH });
  let bytes = 0;
  const writtenMs = await timed(() =>
    each(IN_FLIGHT, IN_FLIGHT, async () => {
      while (batches.end.seq < messages) {
        const row = batches.next();
        bytes += row.bytes.length;
        if ((await store.append(row)) !== "committed") throw new Error(`the append at ${row.firstSeq} is unknown`);
      }
    }),
  );
  const head = batches.end;
  const reader = new LogReader({ store, telemetry });
  const readMs = await timed(async () => {
    for (let after = 0; after < head.seq; ) {
      const page = await reader.page(conversation, after, head);
      after = page.at(-1)?.lastSeq ?? head.seq;
    }
  });
  const recoveredMs = await timed(async () => {
    const found = await recover({ conversation, epoch: EPOCH + 1n, checkpoint: undefined, told: head, store, telemetry });
    if (found.kind !== "recovered" || found.state.head.hash !== head.hash) throw new Error("the next leader finds another log");
  });
  return { messages: head.seq, buckets: Math.ceil(head.seq / LIMITS.bucketMessages), bytes, writtenMs, readMs, recoveredMs };
}

export interface ManyLogs {
  readonly conversations: number;
  /** A batch of one message and a checkpoint each. */
  readonly writtenMs: number;
  /** Of some, read in any order, one after the other. */
  readonly reads: number;
  readonly batchMs: { readonly p50: number; readonly p99: number };
  readonly checkpointMs: { readonly p50: number; readonly p99: number };
}

/** Throws unless each that is looked at holds what was written. */
export async function manyConversations(options: {
  readonly store: LogStore;
  readonly conversations: number;
}): Promise<ManyLogs> {
  const { store, conversations } = options;
  const nameOf = (at: number) => `one of many ${at}`;
  const writtenMs = await timed(() =>
    each(conversations, IN_FLIGHT, async (at) => {
      const row = new Batches({ conversation: nameOf(at), messages: 1, bodyBytes: 100, epoch: EPOCH }).next();
      const saved = store.saveCheckpoint(nameOf(at), EPOCH, 1, Buffer.from(nameOf(at)));
      const outcomes = await Promise.all([store.append(row), saved]);
      if (outcomes.some((outcome) => outcome !== "committed")) throw new Error(`a write of ${nameOf(at)} is unknown`);
    }),
  );
  const batchMs: number[] = [];
  const checkpointMs: number[] = [];
  const reads = Math.min(1_000, Math.ceil(conversations / 5));
  for (let turn = 0; turn < reads; turn++) {
    // A prime step: all over the place, each once.
    const name = nameOf((turn * 7_919) % conversations);
    batchMs.push(
      await timed(async () => {
        const { rows } = await store.read(name, 1, { level: "local", limitBytes: LIMITS.pageBytes });
        if (rows.length !== 1) throw new Error(`${name} has ${rows.length} batches`);
      }),
    );
    checkpointMs.push(
      await timed(async () => {
        const checkpoint = await store.loadCheckpoint(name);
        if (Buffer.from(checkpoint?.bytes ?? []).toString() !== name) throw new Error(`${name} has another's checkpoint`);
      }),
    );
  }
  const at = (values: readonly number[]) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) });
  return { conversations, writtenMs, reads, batchMs: at(batchMs), checkpointMs: at(checkpointMs) };
}

function toldOf({ messages, buckets, bytes, writtenMs, readMs, recoveredMs }: LongLog): string {
  const rate = (ms: number) => `${Math.round((messages / ms) * 1_000).toLocaleString("en-US")} messages/s`;
  const took = (ms: number) => `${(ms / 1_000).toFixed(1)} s, ${rate(ms)}`;
  const mib = (bytes / 2 ** 20).toFixed(0);
  return [
    `${buckets} buckets, ${mib} MiB`,
    `written in ${took(writtenMs)}`,
    `read in ${took(readMs)}`,
    `found without a checkpoint in ${(recoveredMs / 1_000).toFixed(1)} s`,
  ].join("; ");
}

function toldOfMany({ conversations, writtenMs, reads, batchMs, checkpointMs }: ManyLogs): string {
  const of = ({ p50, p99 }: ManyLogs["batchMs"]) => `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms`;
  const rate = Math.round((2 * conversations * 1_000) / writtenMs).toLocaleString("en-US");
  return `${rate} writes/s; ${reads} read: a batch ${of(batchMs)}; a checkpoint ${of(checkpointMs)}`;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
