import type { DeliveryLine, HeadLine, OutcomeLine, SendLine, VoidLine } from "./record.ts";
import { Walk } from "./walk.ts";

type Numbered<T> = T & { readonly line: number };

/** A send with how it ended; of several outcomes the first that is final. */
export interface Send extends Numbered<SendLine> {
  /** The largest id that the client had seen, and the line that shows it. */
  readonly seen: { readonly id: string; readonly line: number };
  outcome: Numbered<OutcomeLine> | undefined;
}

/** A send that was acknowledged. */
export type CommittedSend = Send & {
  readonly outcome: { readonly status: "committed"; readonly seq: number; readonly id: string };
};

export function isCommitted(send: Send): send is CommittedSend {
  return send.outcome?.status === "committed";
}

/** Whether it was said that the send never was and never will be accepted. */
export function isRefused({ outcome }: Send): boolean {
  return outcome?.status === "rejected" || outcome?.status === "expired";
}

/** A content that a reader was handed at some seq, and the first line that says so. */
export type Version = Numbered<Pick<DeliveryLine, "id" | "sender" | "digest">>;

/** One seq. Where G1 holds it has one version, or is a void. */
export interface Place {
  readonly seq: number;
  readonly versions: Version[];
  /** Regions, as bits, where it was handed over, and where it was passed over. */
  deliveredIn: number;
  voidIn: number;
  voidLine: number | undefined;
}

/** The version of a seq that nobody contradicts. */
export function versionAt(place: Place | undefined): Version | undefined {
  return place?.versions.length === 1 && place.voidLine === undefined ? place.versions[0] : undefined;
}

/** All that a record says of one conversation. Memory grows with its messages, not with its readers. */
export class Conversation {
  readonly name: string;
  readonly places = new Map<number, Place>();
  /** By reader. */
  readonly walks = new Map<string, Walk>();
  /** By producer, in the order of their numbers. */
  readonly streams = new Map<string, Send[]>();
  /** The last one of each region. */
  readonly heads = new Map<string, Numbered<HeadLine>>();

  constructor(name: string) {
    this.name = name;
  }

  send(producer: string, n: number): Send | undefined {
    return this.streams.get(producer)?.[n - 1];
  }

  *sends(): Generator<Send, void, undefined> {
    for (const stream of this.streams.values()) yield* stream;
  }

  /** The places in the order of their seqs. */
  inOrder(): readonly Place[] {
    return [...this.places.values()].sort((a, b) => a.seq - b.seq);
  }

  addSend(send: Send): void {
    const stream = this.streams.get(send.producer);
    if (stream === undefined) this.streams.set(send.producer, [send]);
    else stream.push(send);
  }

  addDelivery(line: number, { reader, seq, id, sender, digest }: DeliveryLine, regionBit: number): void {
    const place = this.#place(seq);
    place.deliveredIn |= regionBit;
    if (!place.versions.some((version) => isSame(version, { id, sender, digest }))) {
      place.versions.push({ line, id, sender, digest });
    }
    this.walks.get(reader)?.take(seq, seq, line);
  }

  addVoid(line: number, { reader, first, last }: VoidLine, regionBit: number): void {
    for (let seq = first; seq <= last; seq += 1) {
      const place = this.#place(seq);
      place.voidIn |= regionBit;
      place.voidLine ??= line;
    }
    this.walks.get(reader)?.take(first, last, line);
  }

  addWalk(
    line: number,
    { reader, region, seq }: { readonly reader: string; readonly region: string; readonly seq: number },
  ): void {
    if (!this.walks.has(reader)) this.walks.set(reader, new Walk({ reader, region, startSeq: seq, line }));
  }

  #place(seq: number): Place {
    const known = this.places.get(seq);
    if (known !== undefined) return known;
    const place: Place = { seq, versions: [], deliveredIn: 0, voidIn: 0, voidLine: undefined };
    this.places.set(seq, place);
    return place;
  }
}

export function isSame(one: Omit<Version, "line">, other: Omit<Version, "line">): boolean {
  return one.digest === other.digest && one.id === other.id && one.sender === other.sender;
}
