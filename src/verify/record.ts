/**
 * The record of a run: what every client sent and was told, and what every reader was handed, one JSON object a line.
 *
 *     {"t":"header","version":1,"about":"replay of 3 files","startedAtMs":…,"regions":["eu-west",…],"conversations":["standup",…]}
 *     {"t":"position","reader":"eu-west/1","region":"eu-west","conversation":"standup","seq":0,"atMs":…}
 *     {"t":"send","client":"eu-west","region":"eu-west","producer":"eu-west/ada","sender":"ada","conversation":"standup","n":1,…}
 *     {"t":"outcome","producer":"eu-west/ada","conversation":"standup","n":1,"status":"committed","seq":1,"id":"72…","atMs":…}
 *     {"t":"delivery","reader":"eu-west/1","region":"eu-west","conversation":"standup","seq":1,"id":"72…","sender":"ada",…}
 *     {"t":"end","lines":5,"atMs":…}
 *
 * The lines of one client, of one reader and of the faults stand in the order in which these things happened to it. Between
 * different ones the order of lines means nothing, and times are for people: no check compares clocks.
 *
 * Whether a message was accepted twice can be told only if it differs from every other. People say "yes" more than once, so
 * whoever records a run should make each send distinct by something that is handed back with it, such as its traceparent.
 * Sends that cannot be told apart are checked by their number.
 */
import { type Hash, hash128 } from "../kernel/hash.ts";

export const RECORD_VERSION = 1;

/** The first line. Other lines name no region and no conversation but these. */
export interface HeaderLine {
  readonly t: "header";
  readonly version: typeof RECORD_VERSION;
  /** What was recorded, in a few words. */
  readonly about: string;
  readonly startedAtMs: number;
  /** 1 to 30 of them. */
  readonly regions: readonly string[];
  readonly conversations: readonly string[];
}

/** Written before the send is called. */
export interface SendLine {
  readonly t: "send";
  /** Whose "seen" ids count for this send: one connection of one application. */
  readonly client: string;
  /** The region that the client belongs to. */
  readonly region: string;
  /** Names the producer in this record; its sends in one conversation keep their order. */
  readonly producer: string;
  /** As whom it sends. */
  readonly sender: string;
  readonly conversation: string;
  /** Counts this producer's sends in this conversation: 1, 2, 3, … */
  readonly n: number;
  /** `digestOf` what is sent. */
  readonly digest: string;
  /** The send's key, if it has one, as text or hex: sends of one key are one message. */
  readonly key?: string;
  /** The largest id that the client had seen before; "0" for none. */
  readonly seenId: string;
  readonly atMs: number;
}

/** How a send ended. After `unknown` there may be another one, once it was resolved. */
export type OutcomeLine = {
  readonly t: "outcome";
  readonly producer: string;
  readonly conversation: string;
  /** The send's number. */
  readonly n: number;
  readonly atMs: number;
} & (
  | { readonly status: "committed"; readonly seq: number; readonly id: string }
  | { readonly status: "rejected" | "expired"; readonly error: string }
  | { readonly status: "unknown" }
);

/** A message was handed to a reader. */
export interface DeliveryLine extends ReaderLine {
  readonly t: "delivery";
  readonly seq: number;
  readonly id: string;
  readonly sender: string;
  /** `digestOf` what was handed over. */
  readonly digest: string;
}

/**
 * The reader was shown nothing for these seqs. Subscriptions skip voids, so the seqs between two messages, or between the
 * last message and `Subscription.position`, are voids as far as this reader knows; whether others agree is checked.
 */
export interface VoidLine extends ReaderLine {
  readonly t: "void";
  readonly first: number;
  /** At most 65,536 seqs together. */
  readonly last: number;
}

/** A reader's first line of a conversation says after which seq it starts; later ones say how far it has come. */
export interface PositionLine extends ReaderLine {
  readonly t: "position";
  readonly seq: number;
}

interface ReaderLine {
  /** Names the reader in this record. One that starts anew after a crash has a new name. */
  readonly reader: string;
  /** The region whose users the reader stands for, also while it is served by another one. */
  readonly region: string;
  readonly conversation: string;
  readonly atMs: number;
}

/** How far a conversation's log goes, as a region says. A region's last one is taken when all sends have ended. */
export interface HeadLine {
  readonly t: "head";
  readonly region: string;
  readonly conversation: string;
  readonly seq: number;
  /** The chain hash at `seq`. */
  readonly hash: Hash;
  readonly atMs: number;
}

/** Something was done to a region. After `kill` or `partition` it is lost until `restore` or `heal`. */
export interface FaultLine {
  readonly t: "fault";
  readonly kind: FaultKind;
  readonly region: string;
  /** The epochs of conversations before the fault and once they were led again, as far as they were looked at. */
  readonly epochs: readonly EpochChange[];
  readonly atMs: number;
}

export const FAULT_KINDS = ["kill", "restore", "partition", "heal"] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface EpochChange {
  readonly conversation: string;
  readonly before: string;
  readonly after: string;
}

/** The last line: a record without it was cut off. */
export interface EndLine {
  readonly t: "end";
  /** How many lines stand before this one. */
  readonly lines: number;
  readonly atMs: number;
}

export type RecordLine =
  | HeaderLine
  | SendLine
  | OutcomeLine
  | DeliveryLine
  | VoidLine
  | PositionLine
  | HeadLine
  | FaultLine
  | EndLine;

/** The line's text, without the line feed. */
export function formatRecordLine(line: RecordLine): string {
  return JSON.stringify(line);
}

/** What a send carries and its delivery hands back; a client's `Message` is one. */
export interface Content {
  readonly type: string;
  readonly body: Uint8Array;
  readonly key?: Uint8Array | undefined;
  readonly traceparent?: string | undefined;
}

/** 32 hex digits over type, key, traceparent and body. */
export function digestOf({ type, body, key, traceparent }: Content): string {
  return hash128([encoder.encode(type), key ?? new Uint8Array(), encoder.encode(traceparent ?? ""), body]);
}

const encoder = new TextEncoder();
