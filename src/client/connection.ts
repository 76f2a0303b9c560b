import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Outcomes, Welcome } from "../gen/meridian/v1/client_pb.ts";
import { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Channel, Network } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import type { ConnectionState, Events } from "./events.ts";
import { RegionChoice } from "./region-choice.ts";
import { Session } from "./session.ts";

/** Something that lives longer than a session and takes part in each: a producer, a subscription. */
export interface SessionUser {
  /** A session is ready. */
  attached(session: Session): void;
  /** It is over; another may follow. */
  detached(): void;
}

export interface ConnectionOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly endpoints: readonly string[];
  readonly agent: string;
  readonly events: Events;
  readonly onOutcomes: (outcomes: Outcomes) => void;
}

const PAUSE = { firstMs: 100, maxMs: 2_000 };
/** A session that ends sooner counts as a failure: a node that lets in and throws out must not be called in a hot loop. */
const STABLE_MS = 5_000;

/** Keeps one session open, for as long as the client lives: after each end it tries the next endpoint, after a jittered pause. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #choice: RegionChoice;
  readonly #channels = new Map<string, Channel>();
  readonly #users = new Set<SessionUser>();
  readonly #background: Background;
  /** The session in use or being opened. */
  #session: Session | undefined;
  #state: ConnectionState;
  #bodyBytesMax: number = LIMITS.bodyBytesCeiling;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#choice = new RegionChoice(options.endpoints);
    this.#state = { status: "connecting", endpoint: this.#choice.endpoint };
    this.#background = new Background((what, error) => options.events.fault({ what, error }));
    this.#background.run("keeping the connection", (signal) => this.#keep(signal));
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The largest body that the node takes, as far as is known. */
  get bodyBytesMax(): number {
    return this.#bodyBytesMax;
  }

  join(user: SessionUser): void {
    this.#users.add(user);
    if (this.#state.status === "ready" && this.#session?.isOver === false) user.attached(this.#session);
  }

  leave(user: SessionUser): void {
    this.#users.delete(user);
  }

  /** Ends the present session; the next one goes to another endpoint, if there is one. */
  goElsewhere(reason: MeridianError): void {
    this.#session?.end(reason);
  }

  /** One question to the present endpoint, asked again after retryable errors until `LIMITS.callDeadlineMs` have passed. */
  async call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    signal?: AbortSignal,
  ): Promise<MessageShape<M["output"]>> {
    const { clock, random } = this.#options;
    const endMs = clock.monotonicMs() + LIMITS.callDeadlineMs;
    for (let tries = 0; ; tries += 1) {
      if (this.#state.status === "closed") throw new MeridianError("INVALID_ARGUMENT", "the client is closed");
      try {
        const deadlineMs = endMs - clock.monotonicMs();
        return await this.#channel(this.#choice.endpoint).unary(
          method,
          request,
          signal ? { deadlineMs, signal } : { deadlineMs },
        );
      } catch (thrown) {
        const error = MeridianError.from(thrown);
        const pauseMs = backoffMs(tries, PAUSE, random.u32());
        const isOver = signal?.aborted === true || clock.monotonicMs() + pauseMs >= endMs;
        if (isOver || error.retry === "never") throw error;
        await sleep(clock, pauseMs, signal);
      }
    }
  }

  async close(): Promise<void> {
    const stopped = this.#background.stop();
    this.#session?.end(new MeridianError("UNAVAILABLE", "the client was closed"));
    await stopped;
    for (const channel of this.#channels.values()) channel.close();
    this.#setState({ status: "closed" });
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      const error = await this.#serveOne(signal);
      if (signal.aborted) return;
      if (clock.monotonicMs() - startMs >= STABLE_MS && this.#state.status === "ready") failures = 0;
      this.#choice.failed();
      const retryInMs = backoffMs(failures, PAUSE, random.u32());
      failures += 1;
      this.#setState({ status: "waiting", retryInMs, error });
      await sleep(clock, retryInMs, signal);
    }
  }

  /** One session from its hello to its end; answers why it ended. */
  async #serveOne(signal: AbortSignal): Promise<MeridianError> {
    const { clock, agent, onOutcomes } = this.#options;
    const { endpoint } = this.#choice;
    this.#setState({ status: "connecting", endpoint });
    try {
      const session = new Session({ channel: this.#channel(endpoint), clock, agent, onOutcomes });
      this.#session = session;
      const welcome = await session.welcome();
      if (signal.aborted) session.end(new MeridianError("UNAVAILABLE", "the client was closed"));
      else this.#ready(session, endpoint, welcome);
      return await session.ended;
    } catch (error) {
      return MeridianError.from(error);
    } finally {
      if (this.#state.status === "ready") for (const user of [...this.#users]) user.detached();
      this.#session = undefined;
    }
  }

  #ready(session: Session, endpoint: string, welcome: Welcome): void {
    if (welcome.bodyBytesMax > 0n) this.#bodyBytesMax = Number(welcome.bodyBytesMax);
    this.#setState({ status: "ready", endpoint, node: welcome.node, region: welcome.region });
    for (const user of [...this.#users]) if (this.#users.has(user)) user.attached(session);
  }

  #channel(endpoint: string): Channel {
    const known = this.#channels.get(endpoint);
    if (known !== undefined) return known;
    const channel = this.#options.network.channel(endpoint);
    this.#channels.set(endpoint, channel);
    return channel;
  }

  #setState(state: ConnectionState): void {
    this.#state = state;
    this.#options.events.state(state);
  }
}
