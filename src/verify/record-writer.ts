import { MeridianError } from "../kernel/errors.ts";
import { formatRecordLine, type RecordLine } from "./record.ts";

/** Where a record's text goes: a file, or memory in a test. */
export interface RecordSink {
  /** Resolves once the text was taken; called with one piece at a time. */
  write(text: string): Promise<void>;
}

/** Lines are handed on together: one write a line would cost more than all else. */
const PIECE_CHARACTERS = 256 * 1024;
/** Text that may wait for the sink before those who write are asked to wait; a second's worth of a fast run. */
const WAITING_CHARACTERS = 8 * 1024 * 1024;

/**
 * Writes a record's lines, in the order of the calls, to a sink that may be slower than the run.
 *
 * A line can neither wait nor be left out: it says what has already happened. So `write` takes it at once, and whoever is about
 * to do something that makes lines awaits `room` first. What waits is bounded by that, and by what was under way.
 */
export class RecordWriter {
  readonly #sink: RecordSink;
  #lines = 0;
  #waiting: string[] = [];
  /** Of what waits, and of what the sink has in hand. */
  #characters = 0;
  #draining: Promise<void> | undefined;
  #failure: MeridianError | undefined;
  #wake: (() => void)[] = [];

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  write(line: RecordLine): void {
    const text = `${formatRecordLine(line)}\n`;
    this.#lines += 1;
    this.#waiting.push(text);
    this.#characters += text.length;
    if (this.#characters >= PIECE_CHARACTERS) this.#draining ??= this.#drain();
  }

  /** Resolves once there is room for more lines. Throws when the sink has failed: the record is lost then. */
  async room(): Promise<void> {
    while (this.#failure === undefined && this.#characters > WAITING_CHARACTERS) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Writes the last line and resolves once the sink has all of it. Throws when the sink has failed. */
  async end(atMs: number): Promise<void> {
    this.write({ t: "end", lines: this.#lines, atMs });
    await this.#draining;
    await this.#drain();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const text = this.#waiting.join("");
      this.#waiting = [];
      try {
        if (this.#failure === undefined) await this.#sink.write(text);
      } catch (cause) {
        this.#failure = new MeridianError("UNAVAILABLE", `the record cannot be written: ${MeridianError.from(cause).message}`, {
          retry: "never",
          advice: "Give it a place with room, and run again: this record is not whole.",
          cause,
        });
      }
      this.#characters -= text.length;
      for (const wake of this.#wake.splice(0)) wake();
    }
    this.#draining = undefined;
  }
}
