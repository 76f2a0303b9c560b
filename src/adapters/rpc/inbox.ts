import { MeridianError } from "../../kernel/errors.ts";

/** Frames that have arrived and wait for their one reader. Its limit is kept by whoever fills it, through `onTaken`. */
export class Inbox implements AsyncIterable<Uint8Array> {
  #frames: Uint8Array[] = [];
  #head = 0;
  #bytes = 0;
  #end: { readonly error?: Error } | undefined;
  #wake: (() => void) | undefined;
  #reader: "none" | "reading" | "gone" = "none";
  readonly #onTaken: (bytes: number) => void;

  /** `onTaken` hears of every frame that was read or dropped: its place is free again. */
  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  /** Waits to be read: frames and their bytes. */
  get unread(): { readonly frames: number; readonly bytes: number } {
    return { frames: this.#frames.length - this.#head, bytes: this.#bytes };
  }

  push(frame: Uint8Array): void {
    // A reader that broke out of its loop wants no more frames, but the stream must not get stuck on them.
    if (this.#end !== undefined || this.#reader === "gone") {
      this.#onTaken(frame.length);
      return;
    }
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.#wakeUp();
  }

  /** No more frames; what has arrived is still handed out, then the loop ends, or throws the error if there is one. */
  end(error?: Error): void {
    if (this.#end !== undefined) return;
    this.#end = error === undefined ? {} : { error };
    this.#wakeUp();
  }

  /** Drops what has arrived: the reader gets the error next. */
  abandon(error: Error): void {
    this.#drop();
    this.end(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#reader !== "none") throw new MeridianError("INTERNAL", "the frames of a stream were iterated twice");
    this.#reader = "reading";
    try {
      for (;;) {
        for (let frame = this.#take(); frame !== undefined; frame = this.#take()) yield frame;
        if (this.#end !== undefined) {
          if (this.#end.error !== undefined) throw this.#end.error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.#reader = "gone";
      this.#drop();
    }
  }

  #take(): Uint8Array | undefined {
    const frame = this.#frames[this.#head];
    if (frame === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= frame.length;
    // The read part is cut off in steps, so that a queue that never becomes empty does not keep all it ever held.
    if (this.#head === this.#frames.length || this.#head >= 1_024) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    this.#onTaken(frame.length);
    return frame;
  }

  #drop(): void {
    while (this.#take() !== undefined) {}
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
