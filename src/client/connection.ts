import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Outcomes, Welcome } from "../gen/meridian/v1/client_pb.ts";
import { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Channel, Network } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import type { ConnectionState, Events } from "./events.ts";
import { onAbort } from "./on-abort.ts";
import { Prober } from "./prober.ts";
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

/**
 * Keeps one session open, for as long as the client lives, to the nearest node that serves. When it breaks, another endpoint is
 * tried at once, and one that broke before after a jittered pause. When a nearer node is found, the session moves there.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #choice: RegionChoice;
  /** Where there is nothing to choose, nothing is measured. */
  readonly #prober: Prober | undefined;
  readonly #channels = new Map<string, Channel>();
  readonly #users = new Set<SessionUser>();
  readonly #background: Background;
  /** The session in use or being opened. */
  #session: Session | undefined;
  /** Why the session was ended, if it was to go on at a better endpoint. */
  #moved: MeridianError | undefined;
  /** Aborted when the present endpoint has failed: whoever waits for its answer asks elsewhere. */
  #failure = new AbortController();
  #state: ConnectionState;
  #bodyBytesMax: number = LIMITS.bodyBytesCeiling;

  constructor(options: ConnectionOptions) {
    const report = (what: string, error: MeridianError) => options.events.fault({ what, error });
    const { clock, random } = options;
    this.#options = options;
    this.#choice = new RegionChoice(options.endpoints);
    const choice = this.#choice;
    if (choice.endpoints.length > 1) {
      const channel = (endpoint: string) => this.#channel(endpoint);
      this.#prober = new Prober({ clock, random, channel, choice, onMeasured: () => this.#maybeMove(), report });
      this.#state = { status: "choosing" };
    } else {
      this.#state = { status: "connecting", endpoint: choice.endpoint(clock.monotonicMs()) };
    }
    this.#background = new Background(report);
    this.#background.run("keeping the connection", (signal) => this.#keep(signal));
  }

  get state(): ConnectionState {
    const state = this.#state;
    return state.status === "ready" ? { ...state, rttMs: this.#choice.rttMs(state.endpoint) } : state;
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

  /**
   * One question to the present endpoint, asked again after retryable errors until `LIMITS.callDeadlineMs` have passed; elsewhere,
   * and at once, if the session there breaks meanwhile.
   */
  async call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    signal?: AbortSignal,
  ): Promise<MessageShape<M["output"]>> {
    const { clock, random } = this.#options;
    const endMs = clock.monotonicMs() + LIMITS.callDeadlineMs;
    if (this.#prober !== undefined) {
      await withDeadline(clock, LIMITS.callDeadlineMs, "choosing a node", this.#prober.first, signal);
    }
    for (let tries = 0; ; tries += 1) {
      if (this.#state.status === "closed") throw new MeridianError("INVALID_ARGUMENT", "the client is closed");
      const failure = this.#failure.signal;
      try {
        return await this.#try(method, request, endMs - clock.monotonicMs(), [failure, signal]);
      } catch (thrown) {
        const error = MeridianError.from(thrown);
        const pauseMs = failure.aborted ? 0 : backoffMs(tries, PAUSE, random.u32());
        const isOver = signal?.aborted === true || clock.monotonicMs() + pauseMs >= endMs;
        if (isOver || error.retry === "never") throw error;
        await sleep(clock, pauseMs, signal);
      }
    }
  }

  async close(): Promise<void> {
    const stopped = Promise.all([this.#background.stop(), this.#prober?.close()]);
    this.#session?.end(new MeridianError("UNAVAILABLE", "the client was closed"));
    await stopped;
    for (const channel of this.#channels.values()) channel.close();
    this.#setState({ status: "closed" });
  }

  async #try<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    deadlineMs: number,
    signals: readonly (AbortSignal | undefined)[],
  ): Promise<MessageShape<M["output"]>> {
    const either = new AbortController();
    const forget = signals.map((signal) => onAbort(signal, () => either.abort(signal?.reason)));
    try {
      const channel = this.#channel(this.#choice.endpoint(this.#options.clock.monotonicMs()));
      return await channel.unary(method, request, { deadlineMs, signal: either.signal });
    } finally {
      for (const stop of forget) stop();
    }
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    if (this.#prober !== undefined) await this.#prober.first;
    let failures = 0;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      const error = await this.#serveOne(this.#choice.take(startMs), signal);
      if (signal.aborted) return;
      if (error === this.#moved) continue;
      const nowMs = clock.monotonicMs();
      if (nowMs - startMs >= STABLE_MS && this.#state.status === "ready") failures = 0;
      this.#choice.failed(nowMs);
      this.#failure.abort(error);
      this.#failure = new AbortController();
      const isNextAvoided = this.#choice.isAvoided(this.#choice.endpoint(nowMs), nowMs);
      const retryInMs = isNextAvoided ? backoffMs(failures, PAUSE, random.u32()) : 0;
      failures += 1;
      this.#setState({ status: "waiting", retryInMs, error });
      await sleep(clock, retryInMs, signal);
    }
  }

  /** One session from its hello to its end; answers why it ended. */
  async #serveOne(endpoint: string, signal: AbortSignal): Promise<MeridianError> {
    const { clock, agent, onOutcomes } = this.#options;
    this.#setState({ status: "connecting", endpoint });
    try {
      const onDoubt = this.#prober && (() => this.#doubt());
      const session = new Session({ channel: this.#channel(endpoint), clock, agent, onOutcomes, onDoubt });
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

  /** The present node is silent: whoever answers now is where to go if it stays so. */
  #doubt(): void {
    this.#choice.doubt();
    this.#prober?.hurry();
  }

  /** Sends without an outcome are repeated over the next session, where they are recognised; calls under way end where they are. */
  #maybeMove(): void {
    const better = this.#choice.better(this.#options.clock.monotonicMs());
    if (better === undefined || this.#state.status !== "ready") return;
    this.#moved = new MeridianError("UNAVAILABLE", `the session moves to ${better}, which serves better`, { retry: "elsewhere" });
    this.#session?.end(this.#moved);
  }

  #ready(session: Session, endpoint: string, welcome: Welcome): void {
    if (welcome.bodyBytesMax > 0n) this.#bodyBytesMax = Number(welcome.bodyBytesMax);
    this.#setState({
      status: "ready",
      endpoint,
      node: welcome.node,
      region: welcome.region,
      rttMs: this.#choice.rttMs(endpoint),
    });
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
