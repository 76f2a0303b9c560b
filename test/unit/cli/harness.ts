import { VirtualClock } from "../../../sim/clock.ts";
import type { CliContext } from "../../../src/cli/cli.ts";
import { EXIT } from "../../../src/cli/exit-code.ts";
import { run } from "../../../src/cli/program.ts";
import type {
  AdminClient,
  Client,
  ClientOptions,
  EmulatedRegion,
  Message,
  Outcome,
  SendOptions,
  SubscribeOptions,
} from "../../../src/index.ts";
import { type ConnectionState, MeridianError } from "../../../src/index.ts";

export { EXIT };

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly client?: FakeClient;
  readonly admin?: Partial<AdminClient>;
  /** Where several nodes have operators' addresses: who answers at which one. */
  readonly admins?: (endpoint: string) => Partial<AdminClient>;
  /** Where a run has many clients: who connects to what. */
  readonly connect?: (options: ClientOptions) => Client;
  readonly stdin?: readonly Uint8Array[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly terminal?: boolean;
}

/** One run of the program against a node that is only imagined. */
export class CliRun {
  readonly clock = new VirtualClock();
  readonly stop = new AbortController();
  /** With what the clients were made. */
  readonly connected: ClientOptions[] = [];
  readonly adminEndpoints: string[] = [];
  stdout = "";
  stderr = "";
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings = {}) {
    this.#surroundings = surroundings;
  }

  /** The program's end, whatever virtual time it takes. */
  async run(...args: readonly string[]): Promise<Ran> {
    const code = await this.clock.until(this.begin(...args));
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  /** As `run`, for what waits for the disk instead of virtual time. */
  async runOnDisk(...args: readonly string[]): Promise<Ran> {
    const code = await this.begin(...args);
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  /** As `run`, for what waits for the disk and for virtual time by turns. */
  async runThrough(...args: readonly string[]): Promise<Ran> {
    let isOver = false;
    const code = this.begin(...args).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await this.clock.advance(10);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return { code: await code, stdout: this.stdout, stderr: this.stderr };
  }

  begin(...args: readonly string[]): Promise<number> {
    return run(args, this.#context());
  }

  #context(): CliContext {
    const { client, connect, admin, admins, stdin = [], environment = {}, terminal = false } = this.#surroundings;
    return {
      stdout: async (text) => {
        this.stdout += text;
      },
      stderr: (text) => {
        this.stderr += text;
      },
      stderrIsTerminal: terminal,
      stdin: (async function* () {
        yield* stdin;
      })(),
      environment,
      version: "1.2.3",
      signal: this.stop.signal,
      clock: this.clock,
      connect: async (options) => {
        this.connected.push(options);
        if (connect !== undefined) return connect(options);
        if (client === undefined) throw new Error("this run needs no node");
        return client as unknown as Client;
      },
      connectAdmin: ({ endpoint }) => {
        this.adminEndpoints.push(endpoint);
        return { close() {}, ...(admins?.(endpoint) ?? admin) } as unknown as AdminClient;
      },
    };
  }
}

/** A client whose answers a test writes. */
export class FakeClient {
  readonly sent: { readonly conversation: string; readonly body: Uint8Array | string; readonly options: SendOptions }[] = [];
  readonly subscribed: SubscribeOptions[] = [];
  readonly subscriptions: FakeSubscription[] = [];
  isClosed = false;
  readonly #stateListeners: ((state: ConnectionState) => void)[] = [];

  state: ConnectionState = { status: "connecting", endpoint: "127.0.0.1:7401" };
  outcome: Outcome = { status: "committed", seq: 42, id: 72_057_594_037_927_936n };
  /** The conversation that `subscribe`, `history` and `locate` see. */
  log: readonly Message[] = [];
  /** What a subscription does after the log: goes on, never starts, or ends with the error. */
  afterLog: "follow" | "never starts" | MeridianError = "follow";
  ids = { next: 1n, calls: [] as number[] };

  on(event: string, listener: (state: ConnectionState) => void): () => void {
    if (event === "state") this.#stateListeners.push(listener);
    return () => {};
  }

  enters(state: ConnectionState): void {
    this.state = state;
    for (const listener of this.#stateListeners) listener(state);
  }

  async send(conversation: string, body: Uint8Array | string, options: SendOptions): Promise<Outcome> {
    this.sent.push({ conversation, body, options });
    return this.outcome;
  }

  async resolve(): Promise<Outcome> {
    return this.outcome;
  }

  async locate() {
    return { home: "local", shard: 1, leader: "", epoch: 1n, head: { seq: this.log.length, hash: "" } };
  }

  async history(_conversation: string, { after, limit }: { readonly after: number; readonly limit: number }) {
    const through = Math.min(after + limit, this.log.length);
    return { messages: this.log.slice(after, through), through, head: this.log.length };
  }

  async generateIds(count: number): Promise<readonly bigint[]> {
    this.ids.calls.push(count);
    const first = this.ids.next;
    this.ids.next += BigInt(count);
    return Array.from({ length: count }, (_, at) => first + BigInt(at));
  }

  subscribe(_conversation: string, options: SubscribeOptions): FakeSubscription {
    this.subscribed.push(options);
    const subscription = new FakeSubscription(
      this.log.slice(Number(options.after === "head" ? this.log.length : options.after)),
      this.afterLog,
    );
    options.signal?.addEventListener("abort", () => void subscription.close());
    this.subscriptions.push(subscription);
    return subscription;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** As the real one, a message counts as handled when the next is asked for. */
export class FakeSubscription {
  handled = 0;
  readonly #messages: Message[];
  readonly #end: FakeClient["afterLog"];
  #inHand = 0;
  #close = () => {};
  readonly #closed = new Promise<void>((resolve) => {
    this.#close = resolve;
  });
  isClosed = false;

  constructor(messages: readonly Message[], end: FakeClient["afterLog"]) {
    this.#messages = [...messages];
    this.#end = end;
  }

  get started(): Promise<void> {
    return this.#end === "never starts" ? new Promise(() => {}) : Promise.resolve();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.#close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return {
      next: async () => {
        this.handled = this.#inHand;
        const message = this.isClosed ? undefined : this.#messages.shift();
        if (message !== undefined) {
          this.#inHand = message.seq;
          return { done: false, value: message };
        }
        if (this.#end instanceof MeridianError) throw this.#end;
        await this.#closed;
        return { done: true, value: undefined };
      },
    };
  }
}

/** Three regions of one process, 80 ms apart; what is given differs for the one that is named. */
export function emulated(change: Readonly<Record<string, Partial<EmulatedRegion>>> = {}) {
  const names = ["us-east", "eu-west", "ap-southeast"];
  const regions = names.map((region, at) => ({
    region,
    admin: `127.0.0.1:${7421 + at}`,
    routes: [region, ...names.filter((name) => name !== region)].map((name) => ({
      region: name,
      address: `${name}.from.${region}:1`,
      rttMs: name === region ? 0 : 80,
    })),
    lost: false,
    partitionedFrom: [],
    skewMs: 0,
    replicaBehind: false,
    ...change[region],
  }));
  return { regions, coordinator: "eu-west", leaseTtlMs: 3_000 };
}

export function messages(count: number, change: Partial<Message> = {}): readonly Message[] {
  return Array.from({ length: count }, (_, at) => ({
    conversation: "standup",
    seq: at + 1,
    id: 72_057_594_037_927_936n + BigInt(at),
    sender: "ada",
    producer: 7n,
    key: undefined,
    type: "text/plain",
    body: new TextEncoder().encode(`m${at + 1}`),
    sentAtMs: Date.UTC(2026, 0, 1),
    traceparent: undefined,
    ...change,
  }));
}
