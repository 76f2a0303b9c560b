import type { SessionRequest } from "../gen/meridian/v1/client_pb.ts";
import { Background } from "../kernel/background.ts";
import { toErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { withDeadline } from "../kernel/timing.ts";
import { Fetches } from "./fetches.ts";
import type { Gateway } from "./gateway.ts";
import { Outlet, type SessionStream } from "./outlet.ts";
import { Producers } from "./producers.ts";
import { Submits } from "./submits.ts";
import { Subscriptions } from "./subscriptions.ts";

/**
 * One client's stream: a hello, then requests, each of which is begun at once and answered when it is done. Nothing of a
 * session outlives its stream but the last save of its cursors.
 */
export class Session {
  readonly #gateway: Gateway;
  readonly #stream: SessionStream;
  readonly #background: Background;
  readonly #outlet: Outlet;
  readonly #producers: Producers;
  readonly #submits: Submits;
  readonly #subscriptions: Subscriptions;
  readonly #fetches: Fetches;

  constructor(gateway: Gateway, stream: SessionStream) {
    this.#gateway = gateway;
    this.#stream = stream;
    this.#background = new Background((what, error) => {
      gateway.telemetry.log("error", "session.failed", { what, code: error.code, error: error.message });
    });
    this.#outlet = new Outlet(stream, this.#background);
    const parts = { gateway, outlet: this.#outlet, background: this.#background };
    this.#producers = new Producers(parts);
    this.#submits = new Submits(parts);
    this.#subscriptions = new Subscriptions(parts);
    this.#fetches = new Fetches(parts);
  }

  /**
   * Serves until the client ends the stream; what it has sent by then gets its outcomes first. Throws INVALID_ARGUMENT for
   * frames that no client may send, and what broke the stream.
   */
  async run(signal: AbortSignal): Promise<void> {
    const frames = this.#stream.frames[Symbol.asyncIterator]();
    const wake = () => this.#submits.wake();
    signal.addEventListener("abort", wake, { once: true });
    let failure: MeridianError | undefined;
    try {
      const what = "waiting for the session's first frame";
      this.#hello(await withDeadline(this.#gateway.clock, LIMITS.callDeadlineMs, what, frames.next(), signal));
      for (let next = await frames.next(); next.done !== true; next = await frames.next()) {
        this.#take(next.value);
        await this.#keepUp(signal);
      }
      while (!this.#submits.idle && !signal.aborted) await this.#submits.changed();
    } catch (error) {
      failure = MeridianError.from(error);
    }
    signal.removeEventListener("abort", wake);
    await this.#end(failure);
    if (failure !== undefined) throw failure;
  }

  /** Tells the client to go on elsewhere; the session works until the client ends it. */
  goodbye(reason: MeridianError): void {
    this.#outlet.answer({ case: "goodbye", value: { reason: toErrorDetail(reason) } });
  }

  #hello(first: IteratorResult<SessionRequest, unknown>): void {
    if (first.done === true || first.value.frame.case !== "hello") {
      throw new MeridianError("INVALID_ARGUMENT", "the first frame of a session must be a hello");
    }
    const { node, region, bodyBytesMax, telemetry } = this.#gateway;
    telemetry.log("debug", "session.hello", { agent: first.value.frame.value.agent });
    this.#outlet.answer({ case: "welcome", value: { node, region, bodyBytesMax: BigInt(bodyBytesMax) } });
  }

  #take({ frame }: SessionRequest): void {
    switch (frame.case) {
      case "submit":
        return this.#submits.take(frame.value, this.#producers.sender(frame.value.producer));
      case "credit":
        return this.#subscriptions.credit(frame.value);
      case "acknowledge":
        return this.#subscriptions.acknowledge(frame.value);
      case "subscribe":
        return this.#subscriptions.subscribe(frame.value);
      case "unsubscribe":
        return this.#subscriptions.unsubscribe(frame.value);
      case "fetch":
        return this.#fetches.fetch(frame.value);
      case "openProducer":
        return this.#producers.open(frame.value);
      case "ping":
        return this.#outlet.answer({ case: "pong", value: { nonce: frame.value.nonce } });
      case "hello":
        throw new MeridianError("INVALID_ARGUMENT", "a session has one hello, its first frame");
      case undefined:
        throw new MeridianError("INVALID_ARGUMENT", "the session has sent a frame that this version does not know");
    }
  }

  /** Stops reading while the leaders, or the client itself, cannot keep up with what it asks for. */
  async #keepUp(signal: AbortSignal): Promise<void> {
    while (!this.#submits.keepsUp && !signal.aborted) await this.#submits.changed();
    while (!this.#outlet.keepsUp) await this.#outlet.drained();
  }

  async #end(failure: MeridianError | undefined): Promise<void> {
    this.#subscriptions.close();
    this.#fetches.close();
    // Lets go of whoever waits for the stream.
    this.#stream.close(failure);
    await this.#background.stop();
  }
}
