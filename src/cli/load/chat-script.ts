import { MeridianError } from "../../kernel/errors.ts";
import { checkConversation } from "../../kernel/names.ts";
import { parseTranscript, type TranscriptLine } from "../../verify/transcript.ts";

/** A chat log that is to be said again. */
export interface ChatScript {
  readonly conversation: string;
  readonly lines: readonly TranscriptLine[];
  /** Lines of the file that are no message. */
  readonly skipped: number;
}

/** A file's name without its folder and its suffix. */
const NAME = /([^/\\]+?)(?:\.[A-Za-z]+)?$/;

/**
 * A file as a conversation that is named after it. `suffix` keeps two replays apart: a second one would go on where the first
 * one ended, and its readers would be handed both. A home in the file's name, `standup@eu-west.log`, stays the home.
 */
export function chatScript(path: string, bytes: Uint8Array, suffix: string): ChatScript {
  const name = NAME.exec(path)?.[1] ?? path;
  const at = name.lastIndexOf("@");
  const [topic, home] = at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at)];
  const conversation = suffix === "" ? name : `${topic}-${suffix}${home}`;
  checkConversation(conversation);
  return { conversation, ...parseTranscript(bytes) };
}

/** The scripts that hold messages. Throws INVALID_ARGUMENT if none does, or if two are one conversation. */
export function checkScripts(scripts: readonly ChatScript[]): readonly ChatScript[] {
  const names = new Set<string>();
  for (const { conversation } of scripts) {
    if (names.has(conversation)) {
      throw new MeridianError("INVALID_ARGUMENT", `two files would be the one conversation ${JSON.stringify(conversation)}`, {
        advice: "Replay them one after the other, or rename one of them.",
      });
    }
    names.add(conversation);
  }
  const spoken = scripts.filter(({ lines }) => lines.length > 0);
  if (spoken.length > 0) return spoken;
  throw new MeridianError("INVALID_ARGUMENT", "these files hold no messages", {
    advice: "A message is a line such as `[12:00] <nick> text`, with a date or a channel in front of it, or without.",
  });
}

/** Nicks over all scripts. */
export function nicksIn(scripts: readonly ChatScript[]): number {
  return new Set(scripts.flatMap(({ lines }) => lines.map(({ nick }) => nick))).size;
}
