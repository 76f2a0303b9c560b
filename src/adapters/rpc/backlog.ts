import { LIMITS } from "../../kernel/limits.ts";

/** Counts what was written and has not left yet, in frames and bytes: when it is full, writers are asked to wait. */
export class Backlog {
  #frames = 0;
  #bytes = 0;
  #ended = false;
  readonly #waiting: (() => void)[] = [];

  get bytes(): number {
    return this.#bytes;
  }

  /** False: full, wait for `drained()`. */
  add(bytes: number): boolean {
    this.#frames += 1;
    this.#bytes += bytes;
    return !this.#full(1);
  }

  remove(bytes: number): void {
    this.#frames -= 1;
    this.#bytes -= bytes;
    if (!this.#full(2)) this.#release();
  }

  /** Resolves at half of the limit, so that writers go on in runs instead of frame by frame. */
  async drained(): Promise<void> {
    if (this.#ended || !this.#full(1)) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Nothing will leave any more: lets all writers go. */
  end(): void {
    this.#ended = true;
    this.#release();
  }

  #full(part: number): boolean {
    return this.#frames * part >= LIMITS.streamWindowFrames || this.#bytes * part >= LIMITS.streamWindowBytes;
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
