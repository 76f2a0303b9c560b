import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseTranscript, type TranscriptLine } from "../../src/verify/transcript.ts";

export interface ChatLog {
  readonly name: string;
  readonly lines: readonly TranscriptLine[];
}

/** The folder of chat logs: MERIDIAN_CHATLOGS, or the one that lies beside the checkout; undefined if there is none. */
export function chatLogFolder(): string | undefined {
  const folder = process.env["MERIDIAN_CHATLOGS"] ?? resolve(import.meta.dirname, "../../../shared/data/ubuntu-irc");
  return existsSync(folder) ? folder : undefined;
}

export function readChatLogs(folder: string): readonly ChatLog[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".log"));
  return files.sort().map((file) => ({
    name: file.slice(0, -".log".length),
    lines: parseTranscript(readFileSync(join(folder, file))).lines,
  }));
}
