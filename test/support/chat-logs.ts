import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** A line `[HH:MM] <nick> text` of a chat log. The text is kept as bytes: old logs have stray ones. */
export interface ChatLine {
  readonly nick: string;
  readonly text: Uint8Array;
}

export interface ChatLog {
  readonly name: string;
  readonly lines: readonly ChatLine[];
}

const LINE = /^\[\d\d:\d\d(?::\d\d)?\] <([^>]+)> (.*)$/s;

/** The folder of chat logs: MERIDIAN_CHATLOGS, or the one that lies beside the checkout; undefined if there is none. */
export function chatLogFolder(): string | undefined {
  const folder = process.env["MERIDIAN_CHATLOGS"] ?? resolve(import.meta.dirname, "../../../shared/data/ubuntu-irc");
  return existsSync(folder) ? folder : undefined;
}

export function readChatLogs(folder: string): readonly ChatLog[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".log"));
  return files
    .sort()
    .map((file) => ({ name: file.slice(0, -".log".length), lines: chatLines(readFileSync(join(folder, file))) }));
}

/** The messages among the lines; joins, parts and actions are left out. */
function chatLines(file: Buffer): ChatLine[] {
  // Latin-1 maps every byte to a character and back, so no byte is lost in matching.
  const lines = file.toString("latin1").split("\n");
  return lines.flatMap((line) => {
    const match = LINE.exec(line);
    const [, nick, text] = match ?? [];
    return nick === undefined || text === undefined ? [] : [{ nick, text: Buffer.from(text, "latin1") }];
  });
}
