import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Saying } from "../src/cli/load/steady-load.ts";
import { fnv1a64 } from "../src/kernel/hash.ts";
import { parseTranscript, type TranscriptLine } from "../src/verify/transcript.ts";

const FIXTURES = fileURLToPath(new URL("../test/fixtures/chat", import.meta.url));

/** The chat logs in the folder that `MERIDIAN_CHATLOGS` names, or the small ones of the tests. */
export function logFiles(): readonly string[] {
  const folder = process.env.MERIDIAN_CHATLOGS ?? FIXTURES;
  const names = readdirSync(folder).filter((name) => name.endsWith(".log"));
  if (names.length > 0) return names.map((name) => join(folder, name));
  throw new Error(`${folder} holds no chat logs: files *.log with lines such as "[12:00] <nick> text"`);
}

const LINES_A_TURN = 8;

/** Real chat without an end: each conversation says the lines of one log over and over, each region from another place on. */
export class Chat {
  readonly #logs: readonly (readonly TranscriptLine[])[];

  constructor() {
    this.#logs = logFiles()
      .map((file) => parseTranscript(readFileSync(file)).lines)
      .filter(({ length }) => length > 0);
    if (this.#logs.length === 0) throw new Error('the chat logs hold no lines such as "[12:00] <nick> text"');
  }

  /** The next few lines. */
  says(region: string, conversation: string, turn: number): readonly Saying[] {
    const log = this.#logs[placeOf(conversation, this.#logs.length)] as readonly TranscriptLine[];
    const first = placeOf(region, log.length) + turn * LINES_A_TURN;
    return Array.from({ length: LINES_A_TURN }, (_, at) => {
      const { nick, text } = log[(first + at) % log.length] as TranscriptLine;
      return { sender: nick, text };
    });
  }
}

function placeOf(name: string, places: number): number {
  return Number(fnv1a64(name) % BigInt(places));
}
