import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { VirtualClock } from "../../../sim/clock.ts";
import { MemoryNetwork } from "../../../sim/network.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { Client, type ClientOptions } from "../../../src/client/client.ts";
import type { ConnectionState, DeadLetter, Fault } from "../../../src/client/events.ts";
import {
  type Acknowledge,
  type Fetch,
  MeridianService,
  type OpenProducer,
  type OutcomeRunSchema,
  type SessionRequest,
  type SessionResponseSchema,
  type Submit,
  type Subscribe,
} from "../../../src/gen/meridian/v1/client_pb.ts";
import { EntrySchema } from "../../../src/gen/meridian/v1/stored_pb.ts";
import { PayloadSchema } from "../../../src/gen/meridian/v1/types_pb.ts";
import { toErrorDetail } from "../../../src/kernel/error-wire.ts";
import { type Code, MeridianError } from "../../../src/kernel/errors.ts";
import { hashToBytes } from "../../../src/kernel/hash.ts";
import { type Batch, EMPTY, type Entry, encodeBatch, type Watermark } from "../../../src/log/batch.ts";
import type { CallContext, Duplex, Handlers } from "../../../src/ports/network.ts";

type Response = MessageInitShape<typeof SessionResponseSchema>;
type ResponseFrame = NonNullable<Response["frame"]>;
type RunFate = NonNullable<MessageInitShape<typeof OutcomeRunSchema>["fate"]>;

/** A conversation as a leader would keep it: batches, and which counters of which producers stand in it. */
export class ScriptedLog {
  readonly name: string;
  readonly batches: Batch[] = [];
  readonly cursors = new Map<string, number>();
  readonly producers = new Map<
    bigint,
    { last: number; readonly placed: Map<number, { seq: number; id: bigint; skip: boolean }> }
  >();
  /** The id of the message before the next one. */
  lastId = 1_000n;

  constructor(name: string) {
    this.name = name;
  }

  get head(): Watermark {
    const last = this.batches.at(-1);
    return last === undefined ? EMPTY : { seq: last.lastSeq, hash: last.hash };
  }

  /** The texts of all messages, with "-" for a void. */
  get texts(): string[] {
    return this.batches.flatMap((batch) => batch.entries.map((entry) => (entry.void ? "-" : textOf(entry))));
  }

  append(entries: readonly Entry[], aboveId = 0n): Batch {
    const firstId = (aboveId > this.lastId ? aboveId : this.lastId) + 1n;
    const batch = encodeBatch({
      conversation: this.name,
      firstSeq: this.head.seq + 1,
      firstId,
      prevHash: this.head.hash,
      entries,
      watermark: this.head,
    });
    this.batches.push(batch);
    this.lastId = firstId + BigInt(entries.length - 1);
    return batch;
  }

  /** One batch with these texts. */
  say(...texts: readonly string[]): Batch {
    return this.append(texts.map((text) => (text === "-" ? create(EntrySchema, { void: true }) : entryOf(text))));
  }

  from(seq: number): Batch[] {
    return this.batches.filter((batch) => batch.lastSeq >= seq);
  }

  /** What a leader does with a counter. */
  submit(submit: Submit, index: number): RunFate {
    const item = submit.items[index];
    const counter = Number(submit.firstCounter) + index;
    const producer = this.producers.get(submit.producer) ?? { last: 0, placed: new Map() };
    this.producers.set(submit.producer, producer);
    const known = producer.placed.get(counter);
    if (known !== undefined) {
      return { case: known.skip ? "skipped" : "placed", value: { seq: BigInt(known.seq), id: known.id } };
    }
    if (counter !== producer.last + 1 || item === undefined) {
      const details = { wanted: String(producer.last + 1) };
      return { case: "error", value: toErrorDetail(new MeridianError("COUNTER_GAP", "too early", { details })) };
    }
    const { payload, key, skip } = item;
    const entry = create(EntrySchema, skip ? { void: true } : { payload, key, producer: submit.producer, sender: "ada" });
    const batch = this.append([entry], submit.aboveId);
    producer.last = counter;
    producer.placed.set(counter, { seq: batch.firstSeq, id: batch.firstId, skip });
    return { case: skip ? "skipped" : "placed", value: { seq: BigInt(batch.firstSeq), id: batch.firstId } };
  }
}

/** The logs that all scripted gateways of a test share. */
export class World {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly #logs = new Map<string, ScriptedLog>();
  readonly gateways: ScriptedGateway[] = [];
  producers = 0n;

  /** Where no distance is set, the way takes 5 ms. */
  readonly distanceMs = new Map<string, number>();

  constructor(clock: VirtualClock) {
    this.clock = clock;
    const latencyMs = (from: string, to: string) => this.distanceMs.get(from) ?? this.distanceMs.get(to) ?? 5;
    this.network = new MemoryNetwork({ clock, latencyMs });
  }

  log(name = "standup"): ScriptedLog {
    const log = this.#logs.get(name) ?? new ScriptedLog(name);
    this.#logs.set(name, log);
    return log;
  }

  gateway(address = "a:1"): ScriptedGateway {
    const gateway = new ScriptedGateway(this, address);
    this.gateways.push(gateway);
    return gateway;
  }

  client(options: Partial<ClientOptions> = {}): TestClient {
    return new TestClient(this, { endpoints: ["a:1"], sender: "ada", ...options });
  }
}

/** A client that remembers its events. */
export class TestClient extends Client {
  readonly faults: Fault[] = [];
  readonly states: ConnectionState[] = [];
  readonly deadLetters: DeadLetter[] = [];

  constructor(world: World, options: ClientOptions) {
    const faults: Fault[] = [];
    const ports = { network: world.network.from("client"), clock: world.clock, random: new SeededRandom(7) };
    super({ ...ports, unheard: (fault) => faults.push(fault) }, options);
    this.faults = faults;
    this.on("state", (state) => this.states.push(state));
    this.on("deadLetter", (letter) => this.deadLetters.push(letter));
  }
}

/** A node's side of one session: does what a node does, unless the test's script takes a frame for itself. */
export class Peer {
  readonly gateway: ScriptedGateway;
  readonly frames: SessionRequest["frame"][] = [];
  readonly #stream: Duplex<Response, SessionRequest>;
  readonly subscriptions = new Map<bigint, { readonly conversation: string; nextSeq: number; credit: number; granted: number }>();

  constructor(gateway: ScriptedGateway, stream: Duplex<Response, SessionRequest>) {
    this.gateway = gateway;
    this.#stream = stream;
  }

  async serve(): Promise<void> {
    for await (const { frame } of this.#stream.frames) {
      this.frames.push(frame);
      if (!this.gateway.script(this, frame)) this.handle(frame);
    }
  }

  /** All frames of one kind, in order. */
  all<C extends SessionRequest["frame"]["case"]>(kind: C): Extract<SessionRequest["frame"], { case: C }>["value"][] {
    return this.frames.filter((frame) => frame.case === kind).map((frame) => frame.value as never);
  }

  send(frame: ResponseFrame): void {
    this.#stream.write({ frame });
  }

  break(): void {
    this.#stream.close(new MeridianError("UNAVAILABLE", "the node died"));
  }

  handle(frame: SessionRequest["frame"]): void {
    if (frame.case === "hello") {
      this.send({ case: "welcome", value: { node: this.gateway.address, region: "eu", bodyBytesMax: 65_536n } });
    } else if (frame.case === "openProducer") this.openProducer(frame.value);
    else if (frame.case === "submit") this.submit(frame.value);
    else if (frame.case === "subscribe") this.subscribe(frame.value);
    else if (frame.case === "credit") {
      const line = this.subscriptions.get(frame.value.subscription);
      if (line !== undefined) {
        line.credit += Number(frame.value.bytes);
        line.granted += Number(frame.value.bytes);
      }
      this.push();
    } else if (frame.case === "acknowledge") this.acknowledge(frame.value);
    else if (frame.case === "unsubscribe") this.subscriptions.delete(frame.value.subscription);
    else if (frame.case === "fetch") this.fetch(frame.value);
    else if (frame.case === "ping") this.send({ case: "pong", value: { nonce: frame.value.nonce } });
  }

  openProducer({ request, resume }: OpenProducer): void {
    this.gateway.world.producers += 1n;
    const producer = resume === 0n ? this.gateway.world.producers : resume;
    this.send({ case: "producerOpened", value: { request, producer } });
  }

  submit(submit: Submit): void {
    const log = this.gateway.world.log(submit.conversation);
    this.answer(submit, (index) => log.submit(submit, index));
    for (const gateway of this.gateway.world.gateways) gateway.push();
  }

  answer(submit: Submit, fate: (index: number) => RunFate): void {
    const runs = submit.items.map((_, index) => ({
      counter: submit.firstCounter + BigInt(index),
      count: 1,
      fate: fate(index),
    }));
    this.send({ case: "outcomes", value: { producer: submit.producer, conversation: submit.conversation, runs } });
  }

  refuse(submit: Submit, code: Code, details: Record<string, string> = {}): void {
    this.answer(submit, () => ({
      case: "error",
      value: toErrorDetail(new MeridianError(code, `refused: ${code}`, { details })),
    }));
  }

  subscribe({ subscription, conversation, consumer, start, creditBytes }: Subscribe): void {
    const log = this.gateway.world.log(conversation);
    const asked = start.case === "after" ? Number(start.value) : log.head.seq;
    const after = Math.max(log.cursors.get(consumer) ?? 0, asked);
    this.send({ case: "subscribed", value: { subscription, after: BigInt(after), head: wire(log.head) } });
    const credit = Number(creditBytes);
    this.subscriptions.set(subscription, { conversation, nextSeq: after + 1, credit, granted: credit });
    this.push();
  }

  push(): void {
    for (const [subscription, line] of this.subscriptions) {
      for (const batch of this.gateway.world.log(line.conversation).from(line.nextSeq)) {
        if (line.credit <= 0) break;
        line.credit -= batch.bytes.length;
        line.nextSeq = batch.lastSeq + 1;
        this.gateway.deliver(this, subscription, batch);
      }
    }
  }

  deliver(subscription: bigint, ...batches: readonly Batch[]): void {
    this.send({ case: "delivery", value: { subscription, batches: batches.map(({ bytes }) => bytes) } });
  }

  acknowledge({ subscription, seq }: Acknowledge): void {
    const subscribed = this.all("subscribe").find((subscribe) => subscribe.subscription === subscription);
    const log = this.gateway.world.log(subscribed?.conversation);
    log.cursors.set(subscribed?.consumer ?? "", Number(seq));
    this.send({ case: "cursorSaved", value: { subscription, seq } });
  }

  fetch({ request, conversation, fromSeq, toSeq }: Fetch): void {
    const log = this.gateway.world.log(conversation);
    const batches = log.from(Number(fromSeq)).filter((batch) => batch.firstSeq <= Number(toSeq));
    if (batches.length > 0) {
      this.send({
        case: "fetched",
        value: { request, answer: { case: "entries", value: { batches: batches.map((b) => b.bytes) } } },
      });
    } else this.send({ case: "fetched", value: { request, answer: { case: "notYet", value: wire(log.head) } } });
  }
}

/** A node that does what its script says, and else the right thing. */
export class ScriptedGateway {
  readonly world: World;
  readonly address: string;
  readonly peers: Peer[] = [];
  /** True: the script has dealt with the frame. */
  script: (peer: Peer, frame: SessionRequest["frame"]) => boolean = () => false;
  /** How a batch gets on its way. */
  deliver = (peer: Peer, subscription: bigint, batch: Batch): void => peer.deliver(subscription, batch);
  /** What it answers to probes. */
  serving = true;
  probes = 0;
  readonly #server: { close(): void };

  constructor(world: World, address: string) {
    this.world = world;
    this.address = address;
    const handlers: Handlers<typeof MeridianService> = {
      session: async (stream: Duplex<Response, SessionRequest>, _call: CallContext) => {
        const peer = new Peer(this, stream);
        this.peers.push(peer);
        await peer.serve();
      },
      send: refuse,
      tail: async function* () {
        yield* [];
        throw new MeridianError("NOT_FOUND", "not scripted");
      },
      history: async ({ after, limit }) => {
        const log = world.log();
        const messages = log.batches
          .flatMap((batch) =>
            batch.entries.map((entry, i) => ({ entry, seq: batch.firstSeq + i, id: batch.firstId + BigInt(i) })),
          )
          .filter(({ seq, entry }) => seq > after && seq <= Number(after) + limit && !entry.void)
          .map(({ entry, seq, id }) => ({
            seq: BigInt(seq),
            id,
            sender: entry.sender,
            body: new TextEncoder().encode(textOf(entry)),
          }));
        return { messages, through: after + BigInt(limit), headSeq: BigInt(log.head.seq) };
      },
      locate: async () => ({ home: "eu", shard: 7, leader: "eu-1", epoch: 9n, head: wire(world.log().head) }),
      probe: async () => {
        this.probes += 1;
        return { node: address, region: "eu", serving: this.serving };
      },
      generateIds: async ({ count }) => ({ ids: Array.from({ length: count }, (_, i) => BigInt(i + 1)) }),
    };
    this.#server = world.network.serve(address, [{ service: MeridianService, handlers }]);
  }

  /** The session that is in use. */
  get peer(): Peer {
    const peer = this.peers.at(-1);
    if (peer === undefined) throw new Error(`nobody has connected to ${this.address}`);
    return peer;
  }

  push(): void {
    for (const peer of this.peers) peer.push();
  }

  close(): void {
    this.#server.close();
  }
}

async function refuse(): Promise<never> {
  throw new MeridianError("NOT_FOUND", "not scripted");
}

export function entryOf(text: string): Entry {
  const payload = toBinary(PayloadSchema, create(PayloadSchema, { body: new TextEncoder().encode(text) }));
  return create(EntrySchema, { sender: "bob", payload });
}

function textOf(entry: Entry): string {
  return new TextDecoder().decode(fromBinary(PayloadSchema, entry.payload).body);
}

export function wire({ seq, hash }: Watermark) {
  return { seq: BigInt(seq), hash: hashToBytes(hash) };
}
