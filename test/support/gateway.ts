import type { MessageInitShape } from "@bufbuild/protobuf";
import { VirtualClock } from "../../sim/clock.ts";
import { MemoryNetwork } from "../../sim/network.ts";
import { SeededRandom } from "../../sim/random.ts";
import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import { Followers } from "../../src/feed/followers.ts";
import type { PageSource } from "../../src/gateway/pages.ts";
import { createMeridianService, type MeridianServiceOptions } from "../../src/gateway/service.ts";
import {
  MeridianService,
  type SessionRequestSchema,
  type SessionResponse,
  type SubscribeSchema,
} from "../../src/gen/meridian/v1/client_pb.ts";
import { MeridianError } from "../../src/kernel/errors.ts";
import { LIMITS } from "../../src/kernel/limits.ts";
import { type Batch, decodeBatch, EMPTY, type Watermark } from "../../src/log/batch.ts";
import { LogReader } from "../../src/log/reader.ts";
import type { Channel } from "../../src/ports/network.ts";
import { CONVERSATION } from "./chains.ts";
import { FakeLeaders } from "./fake-leaders.ts";
import { MemoryTelemetry } from "./telemetry.ts";

/** The log's reader, with a test's hand in it. */
class WatchedReader implements PageSource {
  readonly #reader: PageSource;
  pages = 0;
  /** Called before and after each page is read; it may wait or throw. */
  before: () => Promise<void> = async () => {};
  after: () => Promise<void> = async () => {};

  constructor(reader: PageSource) {
    this.#reader = reader;
  }

  async page(conversation: string, after: number, known: Watermark, limitBytes?: number): Promise<readonly Batch[]> {
    this.pages += 1;
    await this.before();
    const page = await this.#reader.page(conversation, after, known, limitBytes);
    await this.after();
    return page;
  }
}

/** A node's gateway on virtual time, with leaders that the test moves. */
export function gatewayOf(options: { readonly store?: MemoryLogStore } & Partial<MeridianServiceOptions> = {}) {
  const clock = new VirtualClock();
  const telemetry = new MemoryTelemetry();
  const random = new SeededRandom(1);
  const store = options.store ?? new MemoryLogStore();
  const leaders = new FakeLeaders(store);
  const reader = new WatchedReader(new LogReader({ store, telemetry }));
  const followers = new Followers({ leaders, clock, random, telemetry });
  let lastId = 5_000n;
  const nextId = () => {
    lastId += 1n;
    return lastId;
  };
  const service = createMeridianService({
    node: "eu-1",
    region: "eu",
    bodyBytesMax: LIMITS.bodyBytes,
    leaders,
    followers,
    reader,
    clock,
    random,
    telemetry,
    newProducerId: async () => nextId(),
    generateIds: async (count) => Array.from({ length: count }, nextId),
    locate: async () => ({ home: "eu", shard: 3, leader: "eu-1", epoch: 7n, head: EMPTY }),
    isServing: () => true,
    ...options,
    store,
  });
  const network = new MemoryNetwork({ clock, telemetry });
  network.serve("eu:7401", [{ service: MeridianService, handlers: service.handlers }]);
  const channel = network.from("client").channel("eu:7401");
  return { clock, telemetry, store, leaders, reader, followers, service, network, channel };
}

type RequestFrame = NonNullable<MessageInitShape<typeof SessionRequestSchema>["frame"]>;
type ResponseFrame = SessionResponse["frame"];
type Case = NonNullable<ResponseFrame["case"]>;
type Value<C extends Case> = Extract<ResponseFrame, { case: C }>["value"];

/** A client's session that keeps all it gets. */
export class TestSession {
  readonly #stream;
  readonly frames: ResponseFrame[] = [];
  /** Why the stream has ended: "open", "ended", or the error that broke it. */
  end: "open" | "ended" | MeridianError = "open";

  /** Says hello. With `reads: false` nothing is read before `read()`. */
  constructor(channel: Channel, options: { readonly reads?: boolean; readonly hello?: boolean } = {}) {
    this.#stream = channel.duplex(MeridianService.method.session);
    if (options.hello !== false) this.write({ case: "hello", value: { agent: "test" } });
    if (options.reads !== false) this.read();
  }

  read(): void {
    const reading = async () => {
      for await (const { frame } of this.#stream.frames) this.frames.push(frame);
    };
    reading().then(
      () => {
        this.end = "ended";
      },
      (error: unknown) => {
        this.end = MeridianError.from(error);
      },
    );
  }

  write(frame: RequestFrame): void {
    this.#stream.write({ frame });
  }

  subscribe(subscription: bigint, value: MessageInitShape<typeof SubscribeSchema> = {}): void {
    const creditBytes = BigInt(LIMITS.subscriptionCreditBytes);
    this.write({ case: "subscribe", value: { subscription, conversation: CONVERSATION, creditBytes, ...value } });
  }

  credit(subscription: bigint, bytes: number): void {
    this.write({ case: "credit", value: { subscription, bytes: BigInt(bytes) } });
  }

  acknowledge(subscription: bigint, seq: number): void {
    this.write({ case: "acknowledge", value: { subscription, seq: BigInt(seq) } });
  }

  /** Ends the client's side. */
  close(error?: Error): void {
    this.#stream.close(error);
  }

  all<C extends Case>(name: C): Value<C>[] {
    return this.frames.filter((frame) => frame.case === name).map((frame) => frame.value as Value<C>);
  }

  /** The seqs that a subscription got after its start, in the order of their coming. Throws if the batches do not chain. */
  seqs(subscription: bigint, conversation = CONVERSATION): number[] {
    const after = Number(this.all("subscribed").find((frame) => frame.subscription === subscription)?.after ?? 0);
    const seqs: number[] = [];
    for (const batch of this.batches(subscription, conversation)) {
      for (let seq = batch.firstSeq; seq <= batch.lastSeq; seq += 1) if (seq > after) seqs.push(seq);
    }
    return seqs;
  }

  /** The batches that a subscription got. Throws if one does not chain on to the one before. */
  batches(subscription: bigint, conversation = CONVERSATION): Batch[] {
    const batches = this.all("delivery")
      .filter((delivery) => delivery.subscription === subscription)
      .flatMap((delivery) => delivery.batches.map((bytes) => decodeBatch(conversation, bytes)));
    for (const [i, batch] of batches.entries()) {
      const before = batches[i - 1];
      if (before === undefined) continue;
      if (batch.firstSeq !== before.lastSeq + 1 || batch.prevHash !== before.hash) {
        throw new Error(`seq ${batch.firstSeq} was delivered after seq ${before.lastSeq}`);
      }
    }
    return batches;
  }
}

export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
