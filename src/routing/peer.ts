import { PeerService } from "../gen/meridian/v1/peer_pb.ts";
import { type BackoffOptions, backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Watermark } from "../log/batch.ts";
import type { Clock } from "../ports/clock.ts";
import type { Channel, Network } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { CallerLink } from "./caller-link.ts";
import type { HandlerLink } from "./handler-link.ts";
import type { Attachment, Fate, FeedListener, LeaderDescription, Leaders, Leadership, SubmitRun } from "./leaders.ts";
import { watermarkFromWire } from "./watermark.ts";

const LINK_AGAIN: BackoffOptions = { firstMs: 50, maxMs: 1_000 };

export interface PeerOptions {
  readonly address: string;
  /** This node: its name, and where other nodes reach it. */
  readonly self: { readonly node: string; readonly address: string };
  /** The leaders of this node. */
  readonly local: Leaders;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/**
 * Another node: the conversations that it leads, reached over two links. Feeds come on the one that this node has opened to
 * it, sends go on the one that it has opened to this node. Nothing waits for a link that is not there: who asks again soon
 * asks the right node, which may be another by then.
 */
export class Peer implements Leadership {
  readonly #options: PeerOptions;
  readonly #bulk: Channel;
  /** A connection of its own: these calls do not queue behind batches. */
  readonly #calls: Channel;
  #outgoing: CallerLink | undefined;
  #incoming: HandlerLink | undefined;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#bulk = options.network.channel(options.address);
    this.#calls = options.network.channel(options.address);
  }

  get address(): string {
    return this.#options.address;
  }

  /** Whether feeds can be had from it, and whether sends can be given to it. */
  get reach(): { readonly feeds: boolean; readonly sends: boolean } {
    return { feeds: this.#outgoing?.up === true, sends: this.#incoming !== undefined };
  }

  async submit(run: SubmitRun): Promise<readonly Fate[]> {
    if (this.#incoming === undefined) throw this.#unreachable();
    return this.#incoming.submit(run);
  }

  async attach(conversation: string, listener: FeedListener, known?: Watermark): Promise<Attachment> {
    if (this.#outgoing?.up !== true) throw this.#unreachable();
    return this.#outgoing.attach(conversation, listener, known);
  }

  async describe(conversation: string): Promise<LeaderDescription> {
    const options = { deadlineMs: LIMITS.callDeadlineMs };
    const { node, home, epoch, head } = await this.#calls.unary(PeerService.method.describeLeader, { conversation }, options);
    if (head === undefined) throw new MeridianError("INTERNAL", `the node at ${this.address} does not say where the head is`);
    return { node, home, epoch, head: watermarkFromWire(head) };
  }

  async move(conversation: string, region: string): Promise<bigint> {
    const options = { deadlineMs: LIMITS.callDeadlineMs };
    const { epoch } = await this.#calls.unary(PeerService.method.moveHome, { conversation, region }, options);
    return epoch;
  }

  /** The other node has opened a link to this one; it takes the place of an older one. */
  opened(link: HandlerLink): void {
    const older = this.#incoming;
    this.#incoming = link;
    older?.close(new MeridianError("UNAVAILABLE", "a newer link has taken the place of this one"));
  }

  ended(link: HandlerLink): void {
    if (this.#incoming === link) this.#incoming = undefined;
  }

  /** Opens links to the other node, one after the other, while `wanted`. A link that works is kept in any case. */
  async keepLinked(signal: AbortSignal, wanted: () => boolean): Promise<void> {
    const { clock, random } = this.#options;
    for (let tries = 0; !signal.aborted && wanted(); tries += 1) {
      if (await this.#link()) tries = 0;
      await sleep(clock, backoffMs(tries, LINK_AGAIN, random.u32()), signal);
    }
  }

  /** Lets this node's leaders say what they still have to say, then ends the link. */
  finish(): void {
    this.#outgoing?.finish();
  }

  /** Breaks what is open. */
  close(): void {
    this.#incoming?.close(new MeridianError("UNAVAILABLE", "this node is stopping", { retry: "elsewhere" }));
    this.#bulk.close();
    this.#calls.close();
  }

  /** One link, from its beginning to its end. True: the other node has answered. */
  async #link(): Promise<boolean> {
    const { self, local, clock, telemetry, address } = this.#options;
    let welcome = false;
    const link = new CallerLink({
      stream: this.#bulk.duplex(PeerService.method.link),
      self,
      to: address,
      local,
      clock,
      telemetry,
      onWelcome: () => {
        welcome = true;
        telemetry.log("info", "link.opened", { peer: address });
      },
    });
    this.#outgoing = link;
    const { code, message } = await link.run();
    this.#outgoing = undefined;
    telemetry.log(welcome ? "info" : "debug", "link.ended", { peer: address, code, message });
    if (welcome) telemetry.count("link.ended");
    return welcome;
  }

  #unreachable(): MeridianError {
    return new MeridianError("UNAVAILABLE", `there is no link with the node at ${this.address} now`);
  }
}
