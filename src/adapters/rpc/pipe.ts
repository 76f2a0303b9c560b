import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Duplex } from "../../ports/network.ts";
import { Backlog } from "./backlog.ts";
import { Inbox } from "./inbox.ts";

/** What a pipe needs of the wire under it. None of these throws; after `abort` nothing is called but `taken`. */
export interface Wire {
  /** Sends one frame after the others; the wire says `left` when the frame no longer weighs on us. */
  send(frame: Uint8Array): void;
  /** Ends our side after all frames that were sent. */
  end(): void;
  /** Breaks the call; a handler's error travels to the caller. */
  abort(error: MeridianError): void;
  /** The reader took a frame of this size: the far side may send more. */
  taken(bytes: number): void;
}

/**
 * One end of a call, as frames of bytes: gRPC and the simulator's memory put their wires under it, so that both keep the same
 * rules for windows, ends and errors. A call of any kind is a pipe: a unary one has one frame each way.
 */
export class Pipe implements Duplex<Uint8Array, Uint8Array> {
  readonly #side: "caller" | "handler";
  readonly #wire: Wire;
  readonly #inbox: Inbox;
  readonly #backlog = new Backlog();
  #state: "open" | "ended" | "over" = "open";
  readonly #onOver: (error?: MeridianError) => void;

  /** `onOver` is called once, with the error if the call broke, whoever broke it. */
  constructor(side: "caller" | "handler", wire: Wire, onOver: (error?: MeridianError) => void) {
    this.#side = side;
    this.#wire = wire;
    this.#inbox = new Inbox((bytes) => wire.taken(bytes));
    this.#onOver = onOver;
  }

  get frames(): AsyncIterable<Uint8Array> {
    return this.#inbox;
  }

  get over(): boolean {
    return this.#state === "over";
  }

  /** What has arrived and was not read. */
  get unread(): { readonly frames: number; readonly bytes: number } {
    return this.#inbox.unread;
  }

  write(frame: Uint8Array): boolean {
    if (this.#state !== "open") return false;
    if (frame.length > LIMITS.frameBytes) {
      this.close(
        new MeridianError("TOO_LARGE", `a frame has ${frame.length} bytes; at most ${LIMITS.frameBytes} are allowed`, {
          details: { limit: String(LIMITS.frameBytes) },
        }),
      );
      return false;
    }
    if (this.#backlog.bytes + frame.length > LIMITS.streamBacklogBytes) {
      this.close(new MeridianError("OVERLOADED", `more than ${LIMITS.streamBacklogBytes} bytes wait for a slow reader`));
      return false;
    }
    const more = this.#backlog.add(frame.length);
    this.#wire.send(frame);
    return more;
  }

  drained(): Promise<void> {
    return this.#backlog.drained();
  }

  close(error?: Error): void {
    if (error !== undefined) {
      if (this.#state === "over") return;
      const ours = MeridianError.from(error);
      this.#inbox.abandon(ours);
      this.#wire.abort(ours);
      this.#over(ours);
      return;
    }
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#wire.end();
    if (this.#side === "handler") this.finished();
  }

  /** From the wire: a frame came. */
  arrived(frame: Uint8Array): void {
    this.#inbox.push(frame);
  }

  /** From the wire: a frame of this size left. */
  left(bytes: number): void {
    this.#backlog.remove(bytes);
  }

  /** From the wire: the far side sends no more frames; we may still write. */
  halfClosed(): void {
    this.#inbox.end();
  }

  /** From the wire: the far side will read and write no more, though some of its frames are still on their way. */
  farEnded(): void {
    if (this.#state === "over") return;
    this.#state = "ended";
    this.#backlog.end();
  }

  /** From the wire: the call has ended well. */
  finished(): void {
    if (this.#state === "over") return;
    this.#inbox.end();
    this.#over();
  }

  /** From the wire: the call is broken. What has arrived and was not read is lost, as gRPC may lose it on its way. */
  broke(error: MeridianError): void {
    if (this.#state === "over") return;
    this.#inbox.abandon(error);
    this.#over(error);
  }

  #over(error?: MeridianError): void {
    this.#state = "over";
    this.#backlog.end();
    this.#onOver(error);
  }
}
