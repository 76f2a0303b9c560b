import { type FileHandle, open } from "node:fs/promises";
import { MeridianError } from "../../kernel/errors.ts";
import type { RecordSink } from "../../verify/record-writer.ts";

/** A record in a file. */
export class RecordFile implements RecordSink {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** A file that is there already is written anew. Throws INVALID_ARGUMENT when that cannot be. */
  static async create(path: string): Promise<RecordFile> {
    try {
      return new RecordFile(await open(path, "w"));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MeridianError("INVALID_ARGUMENT", `the record ${path} cannot be written: ${why}`, {
        advice: "Name a file in a folder that exists.",
        cause,
      });
    }
  }

  write(text: string): Promise<void> {
    return this.#handle.appendFile(text);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** For a run that nobody wants the record of. */
export const NO_RECORD: RecordSink & Pick<RecordFile, "close"> = { write: async () => {}, close: async () => {} };
