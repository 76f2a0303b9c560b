import { Client } from "../src/client/client.ts";
import type { Outcome } from "../src/client/outcome.ts";
import type { Producer } from "../src/client/producer.ts";
import type { Network } from "../src/ports/network.ts";
import { digestOf } from "../src/verify/record.ts";
import { boasting } from "./boasting.ts";
import { Caller } from "./caller.ts";
import type { Cluster } from "./cluster.ts";
import type { ActorPlan, Operation } from "./plan.ts";
import { Process } from "./process.ts";
import { ProcessClock } from "./process-clock.ts";
import { SeededRandom } from "./random.ts";
import { Reading } from "./reading.ts";

const encoder = new TextEncoder();

type SendOperation = Extract<Operation, { kind: "send" }>;

/** A send as the record names it. */
interface Sent {
  readonly producer: string;
  readonly conversation: string;
  readonly n: number;
}

/** A client application over its restarts: it sends what the plan says, reads, and writes down what it was told. */
export class Actor {
  readonly plan: ActorPlan;
  readonly readings: readonly Reading[];
  /** What it sends without a session. */
  readonly caller: Caller;
  /** The nodes in the order in which it tries them. */
  readonly endpoints: readonly string[];
  readonly #cluster: Cluster;
  #process!: Process;
  #clock!: ProcessClock;
  #client!: Client;
  #producers = new Map<string, Producer>();
  #starts = 0;
  #seen = 0n;
  readonly #counts = new Map<string, number>();
  readonly #pending = new Set<Sent>();
  readonly #unknown = new Map<Sent, string>();
  #messages = 0;

  constructor(cluster: Cluster, plan: ActorPlan) {
    this.#cluster = cluster;
    this.plan = plan;
    this.readings = plan.reads.map((reading) => new Reading(cluster, this, reading));
    this.caller = new Caller(cluster, this);
    this.endpoints = plan.prefers.flatMap((region) =>
      cluster.plan.nodes.filter((node) => node.region === region).map((node) => `${node.name}:1`),
    );
  }

  /** Its present process. */
  get name(): string {
    return `${this.plan.name}.${this.#starts}`;
  }

  get clock(): ProcessClock {
    return this.#clock;
  }

  get client(): Client {
    return this.#client;
  }

  /** As the present process sees it. */
  get network(): Network {
    const { name, boastsMs } = this.plan;
    const network = this.#cluster.network.from(name, this.#process.enter);
    return boastsMs === undefined ? network : boasting(network, this.#clock, boastsMs);
  }

  /** The largest id that the present process has seen. */
  get seenId(): bigint {
    return this.#seen;
  }

  /** Sends without an outcome. */
  get pending(): number {
    return this.#pending.size + this.caller.pending;
  }

  start(): void {
    const { clock, plan } = this.#cluster;
    const { name } = this.plan;
    this.#starts += 1;
    this.#process = new Process(name, clock);
    this.#clock = new ProcessClock(clock, this.#process, { monotonicRate: 1, wallRate: 1, offsetMs: 0, errorMs: 1 });
    this.#producers = new Map();
    this.#seen = 0n;
    const random = new SeededRandom(Math.imul(plan.seed, 77) + this.#cluster.actors.indexOf(this) * 100 + this.#starts);
    const { network, endpoints } = this;
    const ports = { network, clock: this.#clock, random, unheard: () => {} };
    this.#client = new Client(ports, { endpoints, agent: name });
    for (const reading of this.readings) if (reading.joined) reading.begin(this.#client);
  }

  /** A reader who comes later. */
  join(reading: Reading): void {
    reading.joined = true;
    reading.begin(this.#client);
  }

  /** Its process is killed and started again: what it waited for it will never know. */
  restart(): void {
    this.#process.kill();
    this.#cluster.network.breakStreams(this.plan.name);
    for (const sent of this.#pending) this.#end(sent, { status: "unknown", retryKey: "" });
    this.#cluster.trace.say(`${this.plan.name} is killed and starts again`);
    for (const reading of this.readings) reading.stop();
    this.start();
    this.caller.restarted();
  }

  readAgain(reading: Reading): void {
    reading.begin(this.#client);
  }

  saw(id: bigint): void {
    if (id > this.#seen) this.#seen = id;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }

  send({ sender, conversation, messages, key, content, deadlineMs }: SendOperation): void {
    for (let i = 0; i < messages; i += 1) {
      const producer = `${this.name}/${sender}`;
      const stream = `${producer} ${conversation}`;
      const n = (this.#counts.get(stream) ?? 0) + 1;
      this.#counts.set(stream, n);
      this.#messages += 1;
      const said = content ?? key ?? `${this.plan.name}/${this.#messages}`;
      const body = encoder.encode(said);
      const sent: Sent = { producer, conversation, n };
      this.#pending.add(sent);
      const digest = digestOf({ type: "", body, ...(key === undefined ? {} : { key: encoder.encode(key) }) });
      const words = `${producer} sends “${said}” to ${conversation}`;
      this.#cluster.recorder.take(
        {
          t: "send",
          client: this.name,
          region: this.plan.region,
          sender,
          digest,
          ...(key === undefined ? {} : { key }),
          seenId: String(this.#seen),
          atMs: this.#cluster.clock.monotonicMs(),
          ...sent,
        },
        words,
      );
      const options = { ...(key === undefined ? {} : { key }), ...(deadlineMs === undefined ? {} : { deadlineMs }) };
      this.#producer(sender)
        .send(conversation, body, options)
        .then((outcome) => this.#pending.has(sent) && this.#end(sent, outcome), this.#bug);
    }
  }

  /** Asks again for what ended unknown. */
  resolve(): void {
    for (const [sent, retryKey] of this.#unknown) {
      this.#unknown.delete(sent);
      this.#pending.add(sent);
      this.#client.resolve(retryKey).then((outcome) => this.#end(sent, outcome), this.#bug);
    }
  }

  #producer(sender: string): Producer {
    const known = this.#producers.get(sender);
    if (known !== undefined) return known;
    const producer = this.#client.producer({ sender });
    this.#producers.set(sender, producer);
    return producer;
  }

  #end(sent: Sent, outcome: Outcome): void {
    this.#pending.delete(sent);
    const { producer, conversation, n } = sent;
    const base = { t: "outcome" as const, ...sent, atMs: this.#cluster.clock.monotonicMs() };
    const words = `${producer} learns of its send ${n} to ${conversation}:`;
    const { recorder } = this.#cluster;
    if (outcome.status === "committed") {
      const { seq, id } = outcome;
      this.saw(id);
      recorder.take({ ...base, status: "committed", seq, id: String(id) }, `${words} committed at #${seq}`);
    } else if (outcome.status === "unknown") {
      if (outcome.retryKey !== "") this.#unknown.set(sent, outcome.retryKey);
      recorder.take({ ...base, status: "unknown" }, `${words} unknown`);
    } else {
      const { status, error } = outcome;
      recorder.take({ ...base, status, error: error.message }, `${words} ${status} (${error.code} ${error.message})`);
    }
  }

  readonly #bug = (error: unknown): void => {
    this.#cluster.witness.breach("bug", `a call of ${this.plan.name} threw ${String(error)}`);
  };
}
