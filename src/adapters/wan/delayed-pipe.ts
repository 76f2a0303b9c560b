import type { Socket } from "node:net";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../ports/clock.ts";
import { DelayLine } from "./delay-line.ts";

/** What happens at one end of the way and, later, at the other. */
type Signal = Buffer | "end" | "reset";

/**
 * One direction of a delayed connection: what one socket receives, the other sends `delayMs` later, its end and its reset
 * included. At most about `LIMITS.proxyBufferBytes` are on the way or wait for a slow receiver; then the sender is not read
 * any more, and its own window fills, as it would over a real distance.
 */
export class DelayedPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #way: DelayLine<Signal>;
  /** Arrived, but the receiver does not take more now. */
  #waiting: Signal[] = [];
  #blocked = false;
  #heldBytes = 0;

  constructor(clock: Clock, delayMs: number, from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    this.#way = new DelayLine<Signal>({ clock, delayMs, deliver: (signal) => this.#arrive(signal) });
    from.on("data", (chunk: Buffer) => this.#read(chunk));
    from.on("end", () => this.#way.push("end"));
    from.on("error", () => this.#way.push("reset"));
    to.on("drain", () => this.#drained());
    to.on("close", () => {
      this.#way.clear();
      this.#waiting = [];
    });
  }

  #read(chunk: Buffer): void {
    this.#heldBytes += chunk.length;
    if (this.#heldBytes >= LIMITS.proxyBufferBytes) this.#from.pause();
    this.#way.push(chunk);
  }

  #arrive(signal: Signal): void {
    if (signal === "reset") this.#to.resetAndDestroy();
    else if (this.#blocked) this.#waiting.push(signal);
    else this.#write(signal);
  }

  #write(signal: Signal): void {
    if (signal === "end" || signal === "reset") {
      this.#to.end();
      return;
    }
    this.#blocked = !this.#to.write(signal);
    this.#heldBytes -= signal.length;
    if (this.#heldBytes < LIMITS.proxyBufferBytes / 2 && this.#from.isPaused()) this.#from.resume();
  }

  #drained(): void {
    this.#blocked = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const signal of waiting) this.#arrive(signal);
  }
}
