/**
 * The embedded profile: a node, which gets single messages of 100 bytes from a client, against bare commits of LMDB with the
 * same settings and an fsync each, as many batches in a commit as the node may have under way.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Environment, openEnvironment } from "../src/adapters/lmdb/environment.ts";
import { LIMITS } from "../src/kernel/limits.ts";
import { NodeProcess } from "../test/support/node-process.ts";
import { Batches } from "./batches.ts";
import { compareDelays, compareRates } from "./contest.ts";
import type { Effort } from "./main.ts";
import { Publishers } from "./publishers.ts";
import type { Finding } from "./report.ts";

const CONVERSATIONS = 8;
const BODY_BYTES = 100;

export async function embedded({ rounds, durationMs, times, say }: Effort): Promise<readonly Finding[]> {
  const folder = await mkdtemp(join(tmpdir(), "meridian-bench-"));
  const closing: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    const environment = await openEnvironment(join(folder, "bare"));
    closing.push(() => environment.close());
    const node = await NodeProcess.start({ data: join(folder, "node") });
    closing.push(() => node.stop());
    const publishers = await Publishers.connect(node.ready.clients, { conversations: CONVERSATIONS, bodyBytes: BODY_BYTES });
    closing.push(() => publishers.close());
    const commits = new Commits(environment);
    say("bench: publishing, and bare commits");
    const published = await compareRates({
      title: `durable publishing, ${CONVERSATIONS} conversations`,
      subject: { name: "a client at a node", run: (ms) => publishers.publish(ms, Publishers.most) },
      bare: { name: "bare commits", run: (ms) => commits.run(ms) },
      rounds,
      durationMs,
    });
    say("bench: delays");
    const delays = await compareDelays({
      title: "the ack of one message alone",
      subject: { name: "a client at a node", once: () => publishers.one() },
      bare: { name: "a bare commit", once: () => commits.one() },
      times,
    });
    return [published, delays];
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

class Commits {
  readonly #environment: Environment;
  readonly #full = new Batches({ conversation: "shape", messages: LIMITS.batchMessages, bodyBytes: BODY_BYTES, epoch: 1n });
  #next = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** One commit after the other; answers messages a second. */
  async run(durationMs: number): Promise<number> {
    const batches = CONVERSATIONS * LIMITS.batchesInFlight;
    const { bytes } = this.#full.next();
    const startedMs = performance.now();
    let messages = 0;
    while (performance.now() < startedMs + durationMs) {
      await this.#commit(batches, bytes);
      messages += batches * LIMITS.batchMessages;
    }
    return (messages / (performance.now() - startedMs)) * 1_000;
  }

  one(): Promise<void> {
    return this.#commit(1, new Batches({ conversation: "shape", messages: 1, bodyBytes: BODY_BYTES, epoch: 1n }).next().bytes);
  }

  async #commit(puts: number, bytes: Uint8Array): Promise<void> {
    await this.#environment.transaction(() => {
      for (let at = 0; at < puts; at++) {
        const key = Buffer.alloc(9, 2);
        key.writeBigUInt64BE(BigInt(this.#next++), 1);
        void this.#environment.put(key, bytes);
      }
    });
  }
}
