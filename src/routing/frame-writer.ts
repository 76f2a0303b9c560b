import type { Background } from "../kernel/background.ts";
import { MeridianError } from "../kernel/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Duplex } from "../ports/network.ts";

export interface FrameWriterOptions<Out> {
  readonly stream: Pick<Duplex<Out, unknown>, "write" | "drained" | "close">;
  /** Takes the next frame out of what waits; undefined if nothing does. */
  readonly pack: () => Out | undefined;
  readonly clock: Clock;
  readonly background: Background;
}

/**
 * Writes one end of a link. A frame costs the same whatever it carries, so what gathers in one turn of the loop leaves
 * together, and while the stream is full nothing is packed: what waits then is the owner's to bound.
 */
export class FrameWriter<Out> {
  readonly #options: FrameWriterOptions<Out>;
  #writing = false;

  constructor(options: FrameWriterOptions<Out>) {
    this.#options = options;
  }

  /** Something waits now. */
  wake(): void {
    if (this.#writing) return;
    this.#writing = true;
    this.#options.background.run("writing to a link", async (signal) => {
      try {
        await this.#options.clock.nextTurn();
        await this.#write(signal);
      } catch (error) {
        // What was packed is lost: the far side must not go on as if it had come.
        this.#options.stream.close(MeridianError.from(error));
        throw error;
      } finally {
        this.#writing = false;
      }
    });
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { stream, pack } = this.#options;
    while (!signal.aborted) {
      const frame = pack();
      if (frame === undefined) return;
      if (!stream.write(frame)) await stream.drained();
    }
  }
}
