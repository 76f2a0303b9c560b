import type { Outcomes } from "../gen/meridian/v1/client_pb.ts";
import { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { SessionUser } from "./connection.ts";
import type { PendingSend } from "./pending-send.ts";
import type { SeenIds } from "./seen-ids.ts";
import type { SendQueue } from "./send-queue.ts";
import { SendWindow } from "./send-window.ts";
import type { Session } from "./session.ts";

export interface IdentityOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly seen: SeenIds;
  readonly queue: SendQueue;
  readonly sender: string;
  /** An id that another process had before; 0n for a new one. */
  readonly id: bigint;
  /** The id is known from now on. */
  readonly onOpened: (identity: Identity) => void;
  /** The id is of no more use in this conversation. */
  readonly onExpired: (conversation: string, waiting: readonly PendingSend[], error: MeridianError) => void;
  /** Retired, and nothing is left to do. */
  readonly onDone: (identity: Identity) => void;
}

const PAUSE = { firstMs: 100, maxMs: 5_000 };

/**
 * One producer id: given out by a node, taken up again in every session, with a window for each conversation. A logical
 * producer has one at a time, and another one once this is forgotten or has served enough conversations.
 */
export class Identity implements SessionUser {
  readonly #options: IdentityOptions;
  readonly #windows = new Map<string, SendWindow>();
  readonly #isForeign: boolean;
  #id: bigint;
  #session: Session | undefined;
  #opening: Background | undefined;
  #isRetired = false;

  constructor(options: IdentityOptions) {
    this.#options = options;
    this.#id = options.id;
    this.#isForeign = options.id !== 0n;
  }

  /** 0n until a node has given it. */
  get id(): bigint {
    return this.#id;
  }

  get conversations(): number {
    return this.#windows.size;
  }

  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** The conversation's window; of a retired id only as long as something in it has no outcome. */
  known(conversation: string): SendWindow | undefined {
    return this.#windows.get(conversation);
  }

  window(conversation: string, firstCounter = 1): SendWindow {
    const known = this.#windows.get(conversation);
    if (known !== undefined) return known;
    const window = new SendWindow({
      ...this.#options,
      conversation,
      firstCounter,
      // A window of a retired id is there to settle what the former one, gone with its counters, left unknown.
      isForeign: this.#isForeign || this.#isRetired,
      onExpired: (waiting, error) => {
        this.#windows.delete(conversation);
        this.#options.onExpired(conversation, waiting, error);
      },
      onIdle: () => this.#tidy(),
    });
    this.#windows.set(conversation, window);
    if (this.#session !== undefined) window.resume(this.#session, this.#id);
    return window;
  }

  outcomes(outcomes: Outcomes): void {
    this.#windows.get(outcomes.conversation)?.outcomes(outcomes.runs);
  }

  attached(session: Session): void {
    const opening = new Background((_what, error) => session.end(error));
    this.#opening = opening;
    opening.run("opening a producer", (signal) => this.#open(session, signal));
  }

  detached(): void {
    void this.#opening?.stop();
    this.#session = undefined;
    for (const window of this.#windows.values()) window.suspend();
  }

  /** No new conversations: it ends once every window is idle. */
  retire(): void {
    this.#isRetired = true;
    this.#tidy();
  }

  close(waitingOutcome: "expired" | "rejected", error: MeridianError): void {
    void this.#opening?.stop();
    for (const window of [...this.#windows.values()]) window.close(waitingOutcome, error);
  }

  async #open(session: Session, signal: AbortSignal): Promise<void> {
    const { clock, random, sender } = this.#options;
    for (let tries = 0; !signal.aborted; tries += 1) {
      try {
        const id = await session.openProducer(sender, this.#id);
        if (!signal.aborted) this.#opened(session, id);
        return;
      } catch (thrown) {
        const error = MeridianError.from(thrown);
        if (signal.aborted) return;
        if (error.retry === "never") return this.#refused(error);
        await sleep(clock, backoffMs(tries, PAUSE, random.u32()), signal);
      }
    }
  }

  #opened(session: Session, id: bigint): void {
    this.#id = id;
    this.#session = session;
    this.#options.onOpened(this);
    for (const window of [...this.#windows.values()]) window.resume(session, id);
  }

  /** A new producer that is refused was never used; an old one that is refused may have been, in any conversation. */
  #refused(error: MeridianError): void {
    if (this.#id === 0n) this.close("rejected", error);
    else for (const window of [...this.#windows.values()]) window.expire(error);
    this.retire();
  }

  #tidy(): void {
    if (!this.#isRetired) return;
    for (const [conversation, window] of this.#windows) if (window.isIdle) this.#windows.delete(conversation);
    if (this.#windows.size === 0) this.#options.onDone(this);
  }
}
