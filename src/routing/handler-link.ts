/**
 * The serving end of a link that another node, the opener, has opened to this one.
 *
 * Two kinds of bulk go from here to the opener: the batches of the feeds that it follows here, and the sends that this
 * node's clients have for conversations that the opener leads. So a send travels on the link that its *leader's* node has
 * opened: the other way, from gRPC client to server, 64 KiB a round trip are all that passes. Only small things come back.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  LinkHello,
  LinkRequest,
  LinkResponseSchema,
  ForwardedRunSchema as RunSchema,
  RunSettled,
} from "../gen/meridian/v1/peer_pb.ts";
import { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import { fromErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Duplex } from "../ports/network.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { fatesFromWire } from "./fates.ts";
import { bytesOfRun, portionsOf, runToWire } from "./forwarded-run.ts";
import { FrameWriter } from "./frame-writer.ts";
import type { Fate, Leaders, SubmitRun } from "./leaders.ts";
import { OutgoingFeeds } from "./outgoing-feeds.ts";
import { keepPulse } from "./pulse.ts";
import { watermarkFromWire } from "./watermark.ts";

type Frame = MessageInitShape<typeof LinkResponseSchema>;

export interface HandlerLinkOptions {
  readonly stream: Duplex<Frame, LinkRequest>;
  /** This node's name. */
  readonly node: string;
  /** The leaders of this node. */
  readonly local: Leaders;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** The opener has said who it is. */
  readonly onHello: (hello: LinkHello) => void;
}

interface Outstanding {
  readonly count: number;
  readonly bytes: number;
  readonly fates: Deferred<readonly Fate[]>;
}

export class HandlerLink {
  readonly #options: HandlerLinkOptions;
  readonly #background: Background;
  readonly #writer: FrameWriter<Frame>;
  readonly #feeds: OutgoingFeeds;
  /** Runs that the opener has not answered, by request. */
  readonly #outstanding = new Map<number, Outstanding>();
  #outstandingBytes = 0;
  #requests = 0;
  /** Runs that wait to be sent. */
  #runs: { readonly wire: MessageInitShape<typeof RunSchema>; readonly bytes: number }[] = [];
  #hello: LinkHello | undefined;
  #welcomeDue = false;
  #beatDue = false;
  #heardMs: number;
  #over: MeridianError | undefined;

  constructor(options: HandlerLinkOptions) {
    const { stream, local, clock, telemetry } = options;
    this.#options = options;
    this.#heardMs = clock.monotonicMs();
    this.#background = new Background((what, error) => {
      telemetry.log("error", "link.failed", { what, peer: this.#hello?.address, error: error.message, stack: error.stack });
    });
    this.#writer = new FrameWriter({ stream, clock, background: this.#background, pack: () => this.#pack() });
    this.#feeds = new OutgoingFeeds({ local, telemetry, onReady: () => this.#writer.wake() });
  }

  /** Serves the link to its end. Throws only what the opener is to learn: a first frame without a hello. */
  async run(): Promise<void> {
    this.#background.run("keeping a link alive", async (signal) => {
      const silent = await keepPulse({ ...this.#options, signal, heardMs: () => this.#heardMs, beat: () => this.#beat() });
      if (silent !== undefined) this.close(silent);
    });
    const { stream } = this.#options;
    try {
      for await (const frame of stream.frames) this.#take(frame);
      this.#end(new MeridianError("UNAVAILABLE", "the other node has ended the link", { retry: "elsewhere" }));
      stream.close();
    } catch (thrown) {
      const error = MeridianError.from(thrown);
      this.close(error);
      if (error.code !== "UNAVAILABLE") throw error;
    } finally {
      await this.#background.stop();
    }
  }

  /** Forwards a run to the leaders of the opener. Throws OVERLOADED, UNAVAILABLE when the link breaks, and what they throw. */
  async submit(run: SubmitRun): Promise<readonly Fate[]> {
    if (this.#over !== undefined) throw this.#broken();
    const bytes = bytesOfRun(run);
    if (this.#outstandingBytes > 0 && this.#outstandingBytes + bytes > LIMITS.linkRunBytes) {
      throw new MeridianError("OVERLOADED", `too many sends wait for the leaders at ${this.#hello?.address}`);
    }
    const portions = portionsOf(run);
    if (portions.length === 1) return this.#forward(run);
    return (await Promise.all(portions.map((portion) => this.#forward(portion)))).flat();
  }

  /** Breaks the link. */
  close(error: MeridianError): void {
    this.#end(error);
    this.#options.stream.close(error);
  }

  #forward(run: SubmitRun): Promise<readonly Fate[]> {
    this.#requests += 1;
    const request = this.#requests;
    const bytes = bytesOfRun(run);
    const fates = new Deferred<readonly Fate[]>();
    this.#outstanding.set(request, { count: run.items.length, bytes, fates });
    this.#outstandingBytes += bytes;
    this.#runs.push({ wire: runToWire(request, run), bytes });
    this.#writer.wake();
    return fates.promise;
  }

  #take(frame: LinkRequest): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    if (this.#hello === undefined) this.#greet(frame.hello);
    for (const { feed, conversation, known } of frame.follows) {
      this.#feeds.follow(Number(feed), conversation, known === undefined ? undefined : watermarkFromWire(known));
    }
    for (const feed of frame.unfollows) this.#feeds.unfollow(Number(feed));
    for (const settled of frame.settled) this.#settle(settled);
  }

  #greet(hello: LinkHello | undefined): void {
    if (hello === undefined || hello.address === "") {
      throw new MeridianError("INVALID_ARGUMENT", "the first frame of a link must say who opens it");
    }
    this.#hello = hello;
    this.#welcomeDue = true;
    this.#writer.wake();
    this.#options.onHello(hello);
  }

  #settle({ request, result }: RunSettled): void {
    const outstanding = this.#outstanding.get(Number(request));
    if (outstanding === undefined) return;
    this.#outstanding.delete(Number(request));
    this.#outstandingBytes -= outstanding.bytes;
    const { count, fates } = outstanding;
    try {
      if (result.case === "fates") fates.resolve(fatesFromWire(result.value, count));
      else if (result.case === "error") fates.reject(fromErrorDetail(result.value));
      else throw new MeridianError("INTERNAL", "a leader gave an answer that this version does not know");
    } catch (error) {
      fates.reject(MeridianError.from(error));
    }
  }

  #beat(): void {
    this.#beatDue = true;
    this.#writer.wake();
  }

  /** Sends come first: they are small, and somebody waits for each. The heartbeat speaks of all that is before it. */
  #pack(): Frame | undefined {
    const runs = this.#takeRuns(LIMITS.deliveryBytes / 2);
    const events = this.#feeds.take(LIMITS.deliveryBytes / 2);
    const beat = this.#beatDue;
    if (runs.length === 0 && events.length === 0 && !beat && !this.#welcomeDue) return undefined;
    const heartbeat = beat ? this.#feeds.heartbeat() : undefined;
    const frame: Frame = {
      runs,
      events,
      ...(this.#welcomeDue ? { welcome: { node: this.#options.node } } : {}),
      ...(heartbeat === undefined ? {} : { heartbeat }),
    };
    this.#beatDue = false;
    this.#welcomeDue = false;
    return frame;
  }

  #takeRuns(limitBytes: number): MessageInitShape<typeof RunSchema>[] {
    let bytes = 0;
    let end = 0;
    for (; end < this.#runs.length && bytes < limitBytes; end += 1) bytes += this.#runs[end]?.bytes ?? 0;
    return this.#runs.splice(0, end).map(({ wire }) => wire);
  }

  #end(error: MeridianError): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#feeds.closeAll();
    this.#runs = [];
    for (const { fates } of this.#outstanding.values()) fates.reject(this.#broken());
    this.#outstanding.clear();
    this.#outstandingBytes = 0;
  }

  #broken(): MeridianError {
    return new MeridianError("UNAVAILABLE", `the link with the leaders at ${this.#hello?.address} broke before they answered`, {
      retry: "elsewhere",
      cause: this.#over,
    });
  }
}
