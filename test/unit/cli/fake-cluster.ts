import type { VirtualClock } from "../../../sim/clock.ts";
import type { AdminClient, Client, ClientOptions, Message, Outcome, RegionFault, SendOptions } from "../../../src/index.ts";
import { emulated, messages } from "./harness.ts";

type Readers = Set<(message: Message) => void>;

interface FakeConversation {
  readonly log: Message[];
  readonly readers: Readers;
  readonly home: string;
  leader: string;
  epoch: bigint;
}

export interface FakeClusterOptions {
  /** How long a lost region's conversations are led by nobody. */
  readonly takeoverMs?: number;
  /** Nobody takes over, and the lost region leads on. */
  readonly ignoresKills?: boolean;
  /** What becomes of the nth send, counted from 1. */
  readonly outcomeOf?: (n: number) => Outcome | undefined;
  /** Seqs that are acknowledged, and that history does not know. */
  readonly forgets?: readonly number[];
}

const ACK_MS = 10;
const HAND_BACK_MS = 500;

/** Three regions that keep their promises, as far as a test does not ask for something else. */
export class FakeCluster {
  readonly faults: RegionFault[] = [];
  readonly senders = new Map<string, Set<string>>();
  readonly conversations = new Map<string, FakeConversation>();
  #clock: VirtualClock | undefined;
  readonly #options: FakeClusterOptions;
  #lost: string | undefined;
  #sends = 0;
  #lastId = 0n;
  #waiting: (() => void)[] = [];

  constructor(options: FakeClusterOptions = {}) {
    this.#options = options;
  }

  /** The clock of the run that it is part of. */
  joins(clock: VirtualClock): void {
    this.#clock = clock;
  }

  admin(endpoint: string): Partial<AdminClient> {
    const region = emulated().regions.find(({ admin }) => admin === endpoint)?.region ?? "";
    return {
      regions: async () => emulated(this.#lost === undefined ? {} : { [this.#lost]: { lost: true } }),
      status: async () => ({ node: `node-${region}`, region }) as never,
      injectFault: async (fault) => this.#inject(fault),
    };
  }

  /** The region that a client lives in is that of its first way. */
  connect({ endpoints }: ClientOptions): Client {
    const region = (endpoints[0] ?? "").split(/[.:]/)[0] ?? "";
    const client = {
      state: { status: "ready", endpoint: "", node: "", region },
      on: () => () => {},
      producer: ({ sender }: { readonly sender: string }) => ({
        send: (conversation: string, body: Uint8Array, options: SendOptions) =>
          this.#send(region, sender, conversation, body, options),
      }),
      subscribe: (name: string, options: { readonly onMessage: (message: Message) => Promise<void> }) =>
        this.#subscribe(name, options.onMessage),
      locate: async (name: string) => {
        const { home, leader, epoch, log } = this.#conversation(name);
        return { home, shard: 1, leader: `node-${leader}`, epoch, head: { seq: log.length, hash: "0".repeat(32) } };
      },
      history: async (name: string, { after, limit }: { readonly after: number; readonly limit: number }) => {
        const { log } = this.#conversation(name);
        const found = log.slice(after, after + limit).filter(({ seq }) => !this.#options.forgets?.includes(seq));
        return { messages: found, through: Math.min(after + limit, log.length), head: log.length };
      },
      resolve: async () => ({ status: "expired", error: { code: "UNAVAILABLE" } }),
      close: async () => {},
    };
    return client as unknown as Client;
  }

  #conversation(name: string): FakeConversation {
    const known = this.conversations.get(name);
    if (known !== undefined) return known;
    const home = name.split("@")[1] ?? "us-east";
    const made = { log: [], readers: new Set() as Readers, home, leader: home, epoch: 1n };
    this.conversations.set(name, made);
    return made;
  }

  async #send(region: string, sender: string, name: string, body: Uint8Array, options: SendOptions): Promise<Outcome> {
    const { readers, log } = this.#conversation(name);
    this.senders.set(sender, (this.senders.get(sender) ?? new Set()).add(region));
    this.#sends += 1;
    const refused = this.#options.outcomeOf?.(this.#sends);
    await this.#pass(ACK_MS);
    if (refused !== undefined) return refused;
    while (this.#lost !== undefined && this.#conversation(name).leader === this.#lost && this.#options.ignoresKills !== true) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const seq = log.length + 1;
    const [like] = messages(1, { conversation: name, seq, sender, type: "", body, traceparent: options.traceparent });
    this.#lastId += 1n;
    const id = this.#lastId;
    const message = { ...(like as Message), id, sentAtMs: this.#time().wallMs() - ACK_MS };
    log.push(message);
    for (const hand of readers) hand(message);
    await this.#pass(ACK_MS);
    return { status: "committed", seq, id };
  }

  #subscribe(name: string, onMessage: (message: Message) => Promise<void>) {
    const subscription = { position: 0, started: Promise.resolve(), ended: new Promise(() => {}), close: async () => {} };
    let turn = Promise.resolve();
    this.#conversation(name).readers.add((message) => {
      turn = turn.then(async () => {
        await onMessage(message);
        subscription.position = message.seq;
      });
    });
    return subscription;
  }

  #inject(fault: RegionFault): void {
    this.faults.push(fault);
    if (fault.kind === "kill") this.#lose(fault.region);
    if (fault.kind !== "restore") return;
    this.#lost = undefined;
    this.#time().after(HAND_BACK_MS, () => this.#lead((conversation) => conversation.home));
  }

  #lose(region: string): void {
    this.#lost = region;
    if (this.#options.ignoresKills === true) return;
    const other = region === "eu-west" ? "us-east" : "eu-west";
    this.#time().after(this.#options.takeoverMs ?? 3_500, () => this.#lead(({ leader }) => (leader === region ? other : leader)));
  }

  #lead(by: (conversation: FakeConversation) => string): void {
    for (const conversation of this.conversations.values()) {
      const leader = by(conversation);
      if (leader === conversation.leader) continue;
      conversation.leader = leader;
      conversation.epoch += 1n;
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.#time().after(ms, resolve));
  }

  #time(): VirtualClock {
    if (this.#clock === undefined) throw new Error("the cluster is part of no run yet");
    return this.#clock;
  }
}
