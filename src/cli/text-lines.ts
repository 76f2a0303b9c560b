import { createReadStream } from "node:fs";
import { MeridianError } from "../kernel/errors.ts";

/** No line of ours is longer; what is, is no text. */
const LINE_CHARACTERS = 16 * 1024 * 1024;

/** The lines of a UTF-8 text, without their line feeds, as they come in. Throws INVALID_ARGUMENT for what is no text. */
export async function* textLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  for await (const chunk of chunks) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    lines[0] = `${rest}${lines[0] ?? ""}`;
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARACTERS) {
      throw new MeridianError("INVALID_ARGUMENT", `a line has more than ${LINE_CHARACTERS} characters: this is no text`);
    }
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/** The lines of a file. Throws NOT_FOUND when it cannot be read. */
export async function* fileLines(path: string): AsyncGenerator<string, void, undefined> {
  const file = createReadStream(path);
  try {
    yield* textLines(file);
  } catch (cause) {
    if (cause instanceof MeridianError) throw cause;
    throw unreadable(path, cause);
  } finally {
    file.destroy();
  }
}

export function unreadable(path: string, cause: unknown): MeridianError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MeridianError("NOT_FOUND", `${path} cannot be read: ${why}`, { advice: "Name a file that exists.", cause });
}
