import { Attribution } from "./attribution.ts";
import { Conversation, type Send } from "./conversation.ts";
import { compareDecimals } from "./fields.ts";
import type { FaultLine, HeaderLine, OutcomeLine, RecordLine, SendLine } from "./record.ts";

const NOTHING_SEEN = "0";

/** All that a record says, as far as the checks ask for it. */
export class History {
  readonly header: HeaderLine;
  readonly conversations = new Map<string, Conversation>();
  readonly faults: FaultLine[] = [];
  readonly #regionBits: ReadonlyMap<string, number>;
  /** Which region each reader stands for. */
  readonly #readers = new Map<string, string>();
  readonly #attributions = new Map<Conversation, Attribution>();
  /** What each client has seen at least: the largest id of its own outcomes so far. */
  readonly #seen = new Map<string, { readonly id: string; readonly line: number }>();

  constructor(header: HeaderLine) {
    this.header = header;
    this.#regionBits = new Map(header.regions.map((region, at) => [region, 1 << at]));
    for (const name of header.conversations) this.conversations.set(name, new Conversation(name));
  }

  /** The regions that were not lost when the record ended. */
  get liveRegions(): readonly string[] {
    const last = new Map(this.faults.map(({ region, kind }) => [region, kind]));
    return this.header.regions.filter((region) => !["kill", "partition"].includes(last.get(region) ?? ""));
  }

  conversation(name: string): Conversation {
    const known = this.conversations.get(name);
    if (known !== undefined) return known;
    const conversation = new Conversation(name);
    this.conversations.set(name, conversation);
    return conversation;
  }

  /** Made once: ask for it after the last line only. */
  attribution(conversation: Conversation): Attribution {
    const known = this.#attributions.get(conversation);
    if (known !== undefined) return known;
    const attribution = new Attribution(conversation);
    this.#attributions.set(conversation, attribution);
    return attribution;
  }

  /** The region as a bit of `Place.deliveredIn` and `voidIn`. */
  bitOf(region: string): number {
    return this.#regionBits.get(region) ?? 0;
  }

  /** What shows that the record is not whole: a line that cannot stand where it stands. Undefined if it can. */
  objection(line: RecordLine): string | undefined {
    if (line.t === "header") return "a second header";
    if (line.t === "end") return undefined;
    if ("region" in line && !this.#regionBits.has(line.region)) return `the header does not name the region ${line.region}`;
    if (line.t === "fault") return this.#unknownConversation(line.epochs.map(({ conversation }) => conversation));
    return this.#unknownConversation([line.conversation]) ?? this.#outOfPlace(line);
  }

  /** Adds a line without objection. */
  take(lineNumber: number, line: RecordLine): void {
    switch (line.t) {
      case "send":
        this.#takeSend(lineNumber, line);
        return;
      case "outcome":
        this.#takeOutcome(lineNumber, line);
        return;
      case "delivery":
        this.conversation(line.conversation).addDelivery(lineNumber, line, this.bitOf(line.region));
        return;
      case "void":
        this.conversation(line.conversation).addVoid(lineNumber, line, this.bitOf(line.region));
        return;
      case "position":
        this.#readers.set(line.reader, line.region);
        this.conversation(line.conversation).addWalk(lineNumber, line);
        return;
      case "head":
        this.conversation(line.conversation).heads.set(line.region, { ...line, line: lineNumber });
        return;
      case "fault":
        this.faults.push(line);
        return;
      default:
        return;
    }
  }

  #unknownConversation(names: readonly string[]): string | undefined {
    const unknown = names.find((name) => !this.conversations.has(name));
    return unknown === undefined ? undefined : `the header does not name the conversation ${JSON.stringify(unknown)}`;
  }

  #outOfPlace(line: RecordLine): string | undefined {
    switch (line.t) {
      case "send": {
        const sends = this.conversation(line.conversation).streams.get(line.producer)?.length ?? 0;
        if (line.n === sends + 1) return undefined;
        return `send ${line.n} of ${line.producer} in ${line.conversation} follows ${sends}: lines are missing or doubled`;
      }
      case "outcome": {
        if (this.conversation(line.conversation).send(line.producer, line.n) !== undefined) return undefined;
        return `the outcome of send ${line.n} of ${line.producer} in ${line.conversation} stands without its send`;
      }
      case "position":
      case "delivery":
      case "void": {
        const region = this.#readers.get(line.reader) ?? line.region;
        if (region !== line.region) return `reader ${line.reader} of ${region} stands for ${line.region} too`;
        if (line.t === "position" || this.conversation(line.conversation).walks.has(line.reader)) return undefined;
        return `reader ${line.reader} has not said where it starts in ${line.conversation}`;
      }
      default:
        return undefined;
    }
  }

  #takeSend(line: number, facts: SendLine): void {
    const told = { id: facts.seenId, line };
    const found = this.#seen.get(facts.client) ?? { id: NOTHING_SEEN, line };
    const seen = compareDecimals(found.id, told.id) > 0 ? found : told;
    this.conversation(facts.conversation).addSend({ ...facts, line, seen, outcome: undefined });
  }

  #takeOutcome(line: number, facts: OutcomeLine): void {
    const send = this.conversation(facts.conversation).send(facts.producer, facts.n);
    if (send === undefined) return;
    if (facts.status === "committed") this.#saw(send, facts.id, line);
    if (send.outcome === undefined || send.outcome.status === "unknown") send.outcome = { ...facts, line };
  }

  #saw({ client }: Send, id: string, line: number): void {
    const seen = this.#seen.get(client);
    if (seen === undefined || compareDecimals(id, seen.id) > 0) this.#seen.set(client, { id, line });
  }
}
