import { MeridianError } from "../kernel/errors.ts";
import { broken, Fields } from "./fields.ts";
import {
  type DeliveryLine,
  type EndLine,
  FAULT_KINDS,
  type FaultLine,
  type HeaderLine,
  type HeadLine,
  type OutcomeLine,
  type PositionLine,
  RECORD_VERSION,
  type RecordLine,
  type SendLine,
  type VoidLine,
} from "./record.ts";

/** Regions are bits of a number where coverage is kept. */
const REGIONS_MAX = 30;
const CONVERSATIONS_MAX = 1_000_000;
/** Voids are rare; a line that claims a million of them is damage, and would cost as many entries. */
const VOIDS_MAX = 65_536;
/** 64 bits: below that, different messages would look alike by chance. */
const DIGEST_DIGITS = 16;

/** A line of a record, or what is wrong with it. Lines count from 1. */
export type ParsedLine = { readonly line: number } & ({ readonly facts: RecordLine } | { readonly error: string });

/** Reads a record line by line; empty lines are passed over. */
export async function* parseRecord(lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<ParsedLine, void, undefined> {
  let line = 0;
  for await (const text of lines) {
    line += 1;
    if (text !== "") yield { line, ...parsed(text) };
  }
}

/** Throws INVALID_ARGUMENT with a sentence that says what is wrong. Fields that are not known are left out. */
export function parseRecordLine(text: string): RecordLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken("the line is not JSON", cause);
  }
  const fields = new Fields("the line", value);
  const t = fields.oneOf("t", KINDS);
  return READ[t](fields);
}

function parsed(text: string): { facts: RecordLine } | { error: string } {
  try {
    return { facts: parseRecordLine(text) };
  } catch (thrown) {
    return { error: MeridianError.from(thrown).message };
  }
}

const READ = {
  header: readHeader,
  send: readSend,
  outcome: readOutcome,
  delivery: readDelivery,
  void: readVoid,
  position: readPosition,
  head: readHead,
  fault: readFault,
  end: readEnd,
} as const satisfies Record<RecordLine["t"], (fields: Fields) => RecordLine>;

const KINDS = Object.keys(READ) as RecordLine["t"][];

function readHeader(fields: Fields): HeaderLine {
  const version = fields.integer("version", 1);
  if (version !== RECORD_VERSION) throw broken(`the record has version ${version}; this program reads ${RECORD_VERSION}`);
  return {
    t: "header",
    version,
    about: fields.text("about"),
    startedAtMs: fields.timeMs("startedAtMs"),
    regions: fields.names("regions", REGIONS_MAX),
    conversations: fields.names("conversations", CONVERSATIONS_MAX),
  };
}

function readSend(fields: Fields): SendLine {
  return {
    t: "send",
    client: fields.text("client"),
    region: fields.text("region"),
    producer: fields.text("producer"),
    sender: fields.text("sender"),
    conversation: fields.text("conversation"),
    n: fields.integer("n", 1),
    digest: fields.hex("digest", DIGEST_DIGITS),
    ...(fields.has("key") ? { key: fields.text("key") } : {}),
    seenId: fields.decimal("seenId"),
    atMs: fields.timeMs("atMs"),
  };
}

function readOutcome(fields: Fields): OutcomeLine {
  const base = {
    t: "outcome" as const,
    producer: fields.text("producer"),
    conversation: fields.text("conversation"),
    n: fields.integer("n", 1),
    atMs: fields.timeMs("atMs"),
  };
  const status = fields.oneOf("status", ["committed", "rejected", "expired", "unknown"]);
  if (status === "committed") return { ...base, status, seq: fields.integer("seq", 1), id: fields.decimal("id") };
  return status === "unknown" ? { ...base, status } : { ...base, status, error: fields.text("error") };
}

function readReader(fields: Fields) {
  return {
    reader: fields.text("reader"),
    region: fields.text("region"),
    conversation: fields.text("conversation"),
    atMs: fields.timeMs("atMs"),
  };
}

function readDelivery(fields: Fields): DeliveryLine {
  return {
    t: "delivery",
    ...readReader(fields),
    seq: fields.integer("seq", 1),
    id: fields.decimal("id"),
    sender: fields.text("sender"),
    digest: fields.hex("digest", DIGEST_DIGITS),
  };
}

function readVoid(fields: Fields): VoidLine {
  const first = fields.integer("first", 1);
  const last = fields.integer("last", first);
  if (last - first >= VOIDS_MAX) throw broken(`a line holds at most ${VOIDS_MAX} voids, not ${last - first + 1}`);
  return { t: "void", ...readReader(fields), first, last };
}

function readPosition(fields: Fields): PositionLine {
  return { t: "position", ...readReader(fields), seq: fields.integer("seq", 0) };
}

function readHead(fields: Fields): HeadLine {
  return {
    t: "head",
    region: fields.text("region"),
    conversation: fields.text("conversation"),
    seq: fields.integer("seq", 0),
    hash: fields.hex("hash", 32),
    atMs: fields.timeMs("atMs"),
  };
}

function readFault(fields: Fields): FaultLine {
  return {
    t: "fault",
    kind: fields.oneOf("kind", FAULT_KINDS),
    region: fields.text("region"),
    epochs: fields.list("epochs", (change) => ({
      conversation: change.text("conversation"),
      before: change.decimal("before"),
      after: change.decimal("after"),
    })),
    atMs: fields.timeMs("atMs"),
  };
}

function readEnd(fields: Fields): EndLine {
  return { t: "end", lines: fields.integer("lines", 1), atMs: fields.timeMs("atMs") };
}
