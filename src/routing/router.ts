/**
 * The leaders of all conversations, wherever they are: what a gateway asks.
 *
 * Where a conversation is led, this node knows from its view of the coordinator, which may be late; the truth is at the
 * leader. A node that does not lead answers NOT_LEADER with a hint where it believes the leader to be, and the router
 * follows, up to four hops: more of them mean that the nodes' views contradict each other, and a pause helps better
 * than a fifth. A node that is asked never forwards, so no call goes round in circles.
 *
 * NOT_LEADER is said before anything is tried. So following a hint cannot accept a message twice, not even one that
 * carries nothing to recognise it by. After any other error the caller decides.
 */
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Watermark } from "../log/batch.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { Hints } from "./hints.ts";
import type { Attachment, Fate, FeedListener, LeaderDescription, Leadership, SubmitRun } from "./leaders.ts";

export interface RouterOptions {
  /** This node's address, as it stands in hints and in the locator's answers. */
  readonly address: string;
  /** The leaders of this node. */
  readonly local: Leadership;
  /** The leaders of another node; undefined if no such node is known. */
  readonly peers: { at(address: string): Leadership | undefined };
  /** Where the conversation is led as far as this node knows: the region, and the leader's address. */
  readonly locate: (conversation: string) => { readonly home: string; readonly leader?: string };
  readonly telemetry: Telemetry;
}

export class Router implements Leadership {
  readonly #options: RouterOptions;
  readonly #hints = new Hints(LIMITS.hintsRemembered);

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  submit(run: SubmitRun): Promise<readonly Fate[]> {
    return this.#route(run.conversation, (leaders) => leaders.submit(run));
  }

  attach(conversation: string, listener: FeedListener, known?: Watermark): Promise<Attachment> {
    return this.#route(conversation, (leaders) => leaders.attach(conversation, listener, known));
  }

  describe(conversation: string): Promise<LeaderDescription> {
    return this.#route(conversation, (leaders) => leaders.describe(conversation));
  }

  move(conversation: string, region: string): Promise<bigint> {
    return this.#route(conversation, (leaders) => leaders.move(conversation, region));
  }

  /** The first leaders are asked before anything is awaited, so that a producer's runs leave in the order they came. */
  async #route<T>(conversation: string, ask: (leaders: Leadership) => Promise<T>): Promise<T> {
    let address = this.#hints.get(conversation) ?? this.#located(conversation);
    for (let hops = 0; ; hops += 1) {
      try {
        return await ask(this.#leadersAt(address));
      } catch (thrown) {
        const error = MeridianError.from(thrown);
        const hint = this.#learn(conversation, error);
        if (error.code !== "NOT_LEADER") throw error;
        if (hint === undefined || hops === LIMITS.leaderHops) throw nobody(conversation, error);
        this.#options.telemetry.count("router.hops");
        address = hint;
      }
    }
  }

  #located(conversation: string): string {
    const { home, leader } = this.#options.locate(conversation);
    if (leader !== undefined) return leader;
    throw new MeridianError("UNAVAILABLE", `nobody is known to lead ${JSON.stringify(conversation)} in ${home} now`, {
      details: { home },
    });
  }

  #leadersAt(address: string): Leadership {
    if (address === this.#options.address) return this.#options.local;
    const peer = this.#options.peers.at(address);
    if (peer !== undefined) return peer;
    throw new MeridianError("UNAVAILABLE", `the node at ${address} is not known to be alive`);
  }

  /** A hint counts until it leads to an error; then this node's own view counts again. */
  #learn(conversation: string, error: MeridianError): string | undefined {
    if (error.code !== "NOT_LEADER" && error.code !== "UNAVAILABLE") return undefined;
    this.#hints.delete(conversation);
    const hint = error.code === "NOT_LEADER" ? error.details.leader : undefined;
    if (hint !== undefined && hint !== this.#options.locate(conversation).leader) this.#hints.set(conversation, hint);
    return hint;
  }
}

function nobody(conversation: string, cause: MeridianError): MeridianError {
  return new MeridianError("UNAVAILABLE", `the leader of ${JSON.stringify(conversation)} was not found: ${cause.message}`, {
    details: cause.details,
    cause,
  });
}
