import { LIMITS } from "../kernel/limits.ts";

/** What somebody said in a chat. */
export interface TranscriptLine {
  readonly nick: string;
  /** The bytes as they stand in the file: old logs mix encodings, and none of them is to be lost. */
  readonly text: Uint8Array;
}

export interface Transcript {
  readonly lines: readonly TranscriptLine[];
  /** Lines that are no message: joins, parts, topics, actions, empty ones. */
  readonly skipped: number;
}

/** `[12:00] <nick> `, with seconds or without, after a date, a channel, both or neither. */
const START = /^(?:\d{4}-\d\d-\d\d )?(?:[#&]\S+ )?\[\d\d:\d\d(?::\d\d)?\] <([^>]+)> /;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Reads a chat log. The texts are views of `bytes`. */
export function parseTranscript(bytes: Uint8Array): Transcript {
  const lines: TranscriptLine[] = [];
  let skipped = 0;
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(LINE_FEED, at);
    const end = found < 0 ? bytes.length : found;
    const line = messageIn(withoutReturn(bytes.subarray(at, end)));
    if (line === undefined) skipped += 1;
    else lines.push(line);
    at = end + 1;
  }
  return { lines, skipped };
}

function withoutReturn(line: Uint8Array): Uint8Array {
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
}

function messageIn(line: Uint8Array): TranscriptLine | undefined {
  const [start, name] = START.exec(latin1(line)) ?? [];
  if (start === undefined || name === undefined) return undefined;
  const nick = senderName(Buffer.from(name, "latin1"));
  return nick === undefined ? undefined : { nick, text: line.subarray(start.length) };
}

/** A character for every byte, so that places in the text are places in the bytes. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The nick as a sender's name; bytes that no name may hold are written as `\xe9`, so that two nicks never become one. */
function senderName(bytes: Uint8Array): string | undefined {
  const name = utf8(bytes) ?? latin1(bytes).replace(/[^\x20-\x7e]/g, escapeByte);
  return Buffer.byteLength(name) <= LIMITS.senderBytes ? name : undefined;
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function escapeByte(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
