import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SessionRequest, SessionResponseSchema } from "../gen/meridian/v1/client_pb.ts";
import type { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Duplex } from "../ports/network.ts";

export type SessionStream = Duplex<MessageInitShape<typeof SessionResponseSchema>, SessionRequest>;
type Frame = NonNullable<MessageInitShape<typeof SessionResponseSchema>["frame"]>;

interface Turn {
  readonly write: () => void;
  readonly done: Deferred<void>;
}

/**
 * The outgoing side of a session, which many write to. A full stream is no place for more:
 *
 * - small answers are written all the same, since each was asked for; the session stops reading requests when too many of
 *   them have gathered;
 * - outcomes and what deliveries find in memory take turns while the stream is not full;
 * - what must be read from the log first takes one of a few places, and is written even if the stream has filled up
 *   meanwhile: it is in memory anyway.
 */
export class Outlet {
  readonly #stream: SessionStream;
  readonly #background: Background;
  #full = false;
  #answers = 0;
  #places: number = LIMITS.pagesPerSession;
  readonly #outcomes: Turn[] = [];
  readonly #deliveries: Turn[] = [];
  readonly #entering: Deferred<void>[] = [];
  #drained = new Deferred<void>();

  constructor(stream: SessionStream, background: Background) {
    this.#stream = stream;
    this.#background = background;
  }

  /** Whether the session has fewer unsent answers than it may; else wait for `drained()`. */
  get keepsUp(): boolean {
    return this.#answers < LIMITS.answersAhead;
  }

  /** Resolves when the stream has emptied, or is over. */
  drained(): Promise<void> {
    return this.#drained.promise;
  }

  /**
   * Calls `write` once while the stream is not full: now, or else in the order of asking, outcomes before deliveries.
   * Settles after that call, with its error if it throws. A stream that is over is never full.
   */
  async turn(what: "outcomes" | "deliveries", write: () => void): Promise<void> {
    if (!this.#full) {
      write();
      return;
    }
    const done = new Deferred<void>();
    (what === "outcomes" ? this.#outcomes : this.#deliveries).push({ write, done });
    await done.promise;
  }

  /** Waits for a place to read from the log, which is given only while the stream is not full. Give it back by `leave()`. */
  async enter(): Promise<void> {
    if (!this.#full && this.#places > 0) {
      this.#places -= 1;
      return;
    }
    const place = new Deferred<void>();
    this.#entering.push(place);
    await place.promise;
  }

  leave(): void {
    this.#places += 1;
    this.#admit();
  }

  /** A small frame that the client asked for. */
  answer(frame: Frame): void {
    if (this.#full) this.#answers += 1;
    this.write(frame);
  }

  /** Any other frame, in its writer's turn or place. */
  write(frame: Frame): void {
    const more = this.#stream.write({ frame });
    if (more || this.#full) return;
    this.#full = true;
    this.#background.run("waiting for a session's stream", async () => {
      await this.#stream.drained();
      this.#full = false;
      this.#answers = 0;
      this.#drained.resolve();
      this.#drained = new Deferred();
      this.#admit();
    });
  }

  #admit(): void {
    while (!this.#full) {
      const turn = this.#outcomes.shift() ?? this.#deliveries.shift();
      if (turn === undefined) break;
      try {
        turn.write();
        turn.done.resolve();
      } catch (error) {
        turn.done.reject(MeridianError.from(error));
      }
    }
    while (!this.#full && this.#places > 0 && this.#entering.length > 0) {
      this.#places -= 1;
      this.#entering.shift()?.resolve();
    }
  }
}
