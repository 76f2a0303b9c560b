import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { checkName } from "../../../src/kernel/names.ts";
import { parseTranscript } from "../../../src/verify/transcript.ts";

const chats = resolve(import.meta.dirname, "../../fixtures/chat");

/** The nicks and texts, a character for every byte. */
function said(text: string): (readonly [string, string])[] {
  const { lines } = parseTranscript(Buffer.from(text, "latin1"));
  return lines.map((line) => [line.nick, Buffer.from(line.text).toString("latin1")] as const);
}

describe("a transcript", () => {
  it.each([
    ["[12:00] <ada> good morning", "ada", "good morning"],
    ["[12:00:07] <ada> with seconds", "ada", "with seconds"],
    ["2008-04-27 #ubuntu [12:00] <ada> with a date and a channel", "ada", "with a date and a channel"],
    ["2008-04-27 [12:00] <ada> with a date", "ada", "with a date"],
    ["#c++-general [12:00] <ada> with a channel", "ada", "with a channel"],
    ["[12:00] <ada> <bob> [12:00] quoted", "ada", "<bob> [12:00] quoted"],
    ["[12:00] <ada>   spaces are kept  ", "ada", "  spaces are kept  "],
    ["[12:00] <ada> ", "ada", ""],
    ["[12:00] <ada|away> pipes and [brackets]", "ada|away", "pipes and [brackets]"],
    ["[12:00] <two words> a bridge's nick", "two words", "a bridge's nick"],
  ])("%j is a message", (line, nick, text) => {
    expect(said(line)).toEqual([[nick, text]]);
  });

  it.each([
    "",
    "=== ada [n=ada@example.net] has joined #ubuntu",
    "[12:00] * ada waves",
    "[12:00] <> nobody",
    "[12:00] <ada>",
    "[12:00] <ada>no space",
    "[1:00] <ada> a short hour",
    " [12:00] <ada> indented",
    "on Monday [12:00] <ada> quoted",
    `[12:00] <${"a".repeat(257)}> a nick that is too long for a sender`,
  ])("%j is none, and is counted", (line) => {
    expect(parseTranscript(Buffer.from(`${line}\n`))).toEqual({ lines: [], skipped: 1 });
  });

  it("keeps every byte of a text, whatever its encoding", () => {
    const all = String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0x0a));
    expect(said(`[12:00] <ada> ${all}!\n[12:01] <bob> caf\xe9`)).toEqual([
      ["ada", `${all}!`],
      ["bob", "caf\xe9"],
    ]);
  });

  it("ends lines with or without a carriage return, and needs no line feed at its end", () => {
    expect(said("[12:00] <ada> one\r\n[12:00] <ada> two\r\n")).toEqual([
      ["ada", "one"],
      ["ada", "two"],
    ]);
    expect(parseTranscript(Buffer.from("[12:00] <ada> one\n\nx\n[12:01] <ada> two"))).toMatchObject({ skipped: 2 });
    expect(parseTranscript(new Uint8Array())).toEqual({ lines: [], skipped: 0 });
  });

  it("makes every nick a sender's name, and never two of them the same", () => {
    const nicks = ["caf\xe9", "caf\xc3\xa9", "caf\xe8", "bell\x07", "c1\xc2\x85", "plain"];
    const names = said(nicks.map((nick) => `[12:00] <${nick}> hello`).join("\n")).map(([name]) => name);
    expect(names).toEqual(["caf\\xe9", "café", "caf\\xe8", "bell\\x07", "c1\\xc2\\x85", "plain"]);
    for (const name of names) expect(() => checkName("the sender", name, LIMITS.senderBytes)).not.toThrow();
  });

  it("of every chat among the fixtures is read as its lines say", () => {
    const counts = readdirSync(chats).map((file) => {
      const { lines, skipped } = parseTranscript(readFileSync(join(chats, file)));
      return [file, lines.length, new Set(lines.map(({ nick }) => nick)).size, skipped];
    });
    expect(counts).toEqual([
      ["2031-05-04-harbour.log", 21, 5, 4],
      ["2031-05-04-kitchen.log", 15, 4, 1],
      ["2031-05-04-pier.log", 20, 5, 3],
    ]);
  });
});
