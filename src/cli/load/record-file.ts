import { type FileHandle, open } from "node:fs/promises";
import { MeridianError } from "../../kernel/errors.ts";
import type { RecordSink } from "../../verify/record-writer.ts";

/** A record in a file. */
class RecordFile implements RecordSink {
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

/** Does the work with a record in this file; without one, what is recorded goes nowhere. Throws as `create` does. */
export async function withRecord(path: string | undefined, work: (sink: RecordSink) => Promise<void>): Promise<void> {
  if (path === undefined) return work({ write: async () => {} });
  const file = await RecordFile.create(path);
  try {
    await work(file);
  } finally {
    await file.close();
  }
}
