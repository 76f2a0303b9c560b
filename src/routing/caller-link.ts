/**
 * The opening end of a link to another node.
 *
 * It asks for the feeds of conversations that are led there, and hands their batches on; and it takes the sends that the
 * other node's clients have for conversations led *here*, gives them to the leaders, and answers. All it ever writes is
 * small, since a gRPC client's writes are slow over a distance: what it follows, signs of life, and fates as runs.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  FeedEvent,
  FeedHeartbeat,
  FollowSchema,
  ForwardedRun,
  LinkRequestSchema,
  LinkResponse,
  RunSettledSchema,
} from "../gen/meridian/v1/peer_pb.ts";
import { Background } from "../kernel/background.ts";
import { fromErrorDetail, toErrorDetail } from "../kernel/error-wire.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Watermark } from "../log/batch.ts";
import type { Clock } from "../ports/clock.ts";
import type { Duplex } from "../ports/network.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { fatesToWire } from "./fates.ts";
import { runFromWire } from "./forwarded-run.ts";
import { FrameWriter } from "./frame-writer.ts";
import { IncomingFeed } from "./incoming-feed.ts";
import type { Attachment, FeedListener, Leaders } from "./leaders.ts";
import { keepPulse } from "./pulse.ts";
import { watermarkFromWire, watermarkToWire } from "./watermark.ts";

type Frame = MessageInitShape<typeof LinkRequestSchema>;
type Settled = MessageInitShape<typeof RunSettledSchema>;

/** What a run of fates and an error weigh in a frame, roughly. */
const FATE_BYTES = 32;
const ERROR_BYTES = 1_024;
const FOLLOWS_PER_FRAME = 1_024;

export interface CallerLinkOptions {
  readonly stream: Duplex<Frame, LinkResponse>;
  /** This node: its name, and where other nodes reach it. */
  readonly self: { readonly node: string; readonly address: string };
  /** The other node's address. */
  readonly to: string;
  /** The leaders of this node. */
  readonly local: Leaders;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** The other node has answered. */
  readonly onWelcome: () => void;
}

export class CallerLink {
  readonly #options: CallerLinkOptions;
  readonly #background: Background;
  readonly #writer: FrameWriter<Frame>;
  readonly #feeds = new Map<number, IncomingFeed>();
  #lastFeed = 0;
  #helloDue = true;
  #beatDue = false;
  #follows: MessageInitShape<typeof FollowSchema>[] = [];
  #unfollows: bigint[] = [];
  #settled: Settled[] = [];
  /** Runs that the leaders of this node have not answered. */
  #serving = 0;
  #welcomed = false;
  #stopping = false;
  #heardMs: number;
  #over: MeridianError | undefined;

  constructor(options: CallerLinkOptions) {
    const { stream, clock, telemetry, to } = options;
    this.#options = options;
    this.#heardMs = clock.monotonicMs();
    this.#background = new Background((what, error) => {
      telemetry.log("error", "link.failed", { what, peer: to, error: error.message, stack: error.stack });
    });
    this.#writer = new FrameWriter({ stream, clock, background: this.#background, pack: () => this.#pack() });
  }

  /** The other node has answered, and the link is not over. */
  get up(): boolean {
    return this.#welcomed && this.#over === undefined;
  }

  /** Keeps the link to its end; answers why it ended. */
  async run(): Promise<MeridianError> {
    const { stream } = this.#options;
    this.#writer.wake();
    this.#background.run("keeping a link alive", async (signal) => {
      const silent = await keepPulse({ ...this.#options, signal, heardMs: () => this.#heardMs, beat: () => this.#beat() });
      if (silent !== undefined) stream.close(silent);
    });
    let why = new MeridianError("UNAVAILABLE", `the node at ${this.#options.to} has ended the link`, { retry: "elsewhere" });
    try {
      for await (const frame of stream.frames) this.#take(frame);
    } catch (error) {
      why = MeridianError.from(error);
    }
    this.#end(why);
    await this.#background.stop();
    return why;
  }

  /** Follows a conversation that the other node leads. Throws UNAVAILABLE, and what its leader throws. */
  async attach(conversation: string, listener: FeedListener, known?: Watermark): Promise<Attachment> {
    if (this.#over !== undefined) throw this.#broken();
    this.#lastFeed += 1;
    const id = this.#lastFeed;
    const feed = new IncomingFeed({
      conversation,
      listener,
      telemetry: this.#options.telemetry,
      unfollow: () => this.#unfollow(id),
    });
    this.#feeds.set(id, feed);
    const hint = known === undefined ? {} : { known: watermarkToWire(known) };
    this.#follows.push({ feed: BigInt(id), conversation, ...hint });
    this.#writer.wake();
    return feed.attached;
  }

  /** Ends the link once the leaders of this node have answered what they were given, and that is sent. */
  finish(): void {
    this.#stopping = true;
    this.#writer.wake();
  }

  #take(frame: LinkResponse): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    if (frame.welcome !== undefined && !this.#welcomed) {
      this.#welcomed = true;
      this.#options.onWelcome();
    }
    for (const run of frame.runs) this.#serve(run);
    for (const event of frame.events) this.#event(event);
    if (frame.heartbeat !== undefined) this.#heartbeat(frame.heartbeat);
  }

  /** The leaders are called in the order of the runs: a producer's sends stay in order. */
  #serve(run: ForwardedRun): void {
    const { request } = run;
    this.#serving += 1;
    this.#options.local.submit(runFromWire(run)).then(
      (fates) => this.#answer({ request, result: { case: "fates", value: { runs: fatesToWire(fates) } } }),
      (error: unknown) => {
        this.#answer({ request, result: { case: "error", value: toErrorDetail(MeridianError.from(error)) } });
      },
    );
  }

  #answer(settled: Settled): void {
    this.#serving -= 1;
    if (this.#over !== undefined) return;
    this.#settled.push(settled);
    this.#writer.wake();
  }

  #event({ feed: id, event }: FeedEvent): void {
    const feed = this.#feeds.get(Number(id));
    if (feed === undefined) return;
    switch (event.case) {
      case "begun":
        if (event.value.head !== undefined) feed.begun(watermarkFromWire(event.value.head), event.value.epoch);
        return;
      case "batch":
        feed.batch(event.value);
        return;
      case "ended":
        this.#feeds.delete(Number(id));
        feed.end(fromErrorDetail(event.value));
        return;
      case undefined:
        return;
    }
  }

  #heartbeat({ feeds, seqs }: FeedHeartbeat): void {
    for (const [i, id] of feeds.entries()) this.#feeds.get(Number(id))?.heartbeat(Number(seqs[i] ?? 0n));
  }

  #unfollow(id: number): void {
    this.#feeds.delete(id);
    if (this.#over !== undefined) return;
    this.#unfollows.push(BigInt(id));
    this.#writer.wake();
  }

  #beat(): void {
    this.#beatDue = true;
    this.#writer.wake();
  }

  #pack(): Frame | undefined {
    const waits = this.#follows.length + this.#unfollows.length + this.#settled.length;
    if (waits === 0 && !this.#beatDue && !this.#helloDue) {
      if (this.#stopping && this.#serving === 0) this.#options.stream.close();
      return undefined;
    }
    const frame: Frame = {
      ...(this.#helloDue ? { hello: this.#options.self } : {}),
      // An unfollow must not leave before its follow.
      follows: this.#follows.splice(0, FOLLOWS_PER_FRAME),
      unfollows: this.#follows.length === 0 ? this.#unfollows.splice(0) : [],
      settled: this.#takeSettled(),
    };
    this.#helloDue = false;
    this.#beatDue = false;
    return frame;
  }

  #takeSettled(): Settled[] {
    let bytes = 0;
    let end = 0;
    for (; end < this.#settled.length && bytes < LIMITS.deliveryBytes; end += 1) bytes += bytesOf(this.#settled[end] as Settled);
    return this.#settled.splice(0, end);
  }

  #end(why: MeridianError): void {
    this.#over = why;
    const feeds = [...this.#feeds.values()];
    this.#feeds.clear();
    for (const feed of feeds) feed.end(this.#broken());
  }

  #broken(): MeridianError {
    return new MeridianError("UNAVAILABLE", `the link to the node at ${this.#options.to} is broken`, {
      retry: "elsewhere",
      cause: this.#over,
    });
  }
}

/** Errors are texts, fates are numbers. */
function bytesOf({ result }: Settled): number {
  if (result?.case !== "fates") return ERROR_BYTES;
  let bytes = FATE_BYTES;
  for (const { fate } of result.value.runs ?? []) bytes += fate?.case === "error" ? ERROR_BYTES : FATE_BYTES;
  return bytes;
}
