/**
 * A run that never was: three regions, a client with two producers and a reader in each, and a log that keeps every promise.
 * It has all that makes records hard: voids, sends that look alike, a key that is sent again, unknown ends of both kinds, ends
 * that were resolved later, a reader that starts late, and a region that is killed and comes back.
 */
import {
  type DeliveryLine,
  digestOf,
  type HeaderLine,
  type OutcomeLine,
  type RecordLine,
  type SendLine,
} from "../../../src/verify/record.ts";

const REGIONS = ["ap-south", "eu-west", "us-east"];
const CONVERSATIONS = ["orders@eu-west", "standup"];
const NICKS = ["ada", "bob", "cyd", "dan", "eve", "fay"];
const FIRST_ID = 7_205_759_403_792_793_600n;

interface Place {
  readonly seq: number;
  readonly id: string;
}

type Entry = Pick<DeliveryLine, "id" | "sender" | "digest"> | "void";

/** What each actor wrote, in its order; the file is some interleaving of these. */
export interface Run {
  readonly header: HeaderLine;
  readonly actors: readonly (readonly RecordLine[])[];
}

/** The lines in a fixed interleaving, from header to end. */
export function recordOf(run: Run): RecordLine[] {
  return interleaved(run, (round, actors) => (round * 7 + 3) % actors);
}

/** `choose` picks one of the actors that still have lines. */
export function interleaved({ header, actors }: Run, choose: (round: number, actors: number) => number): RecordLine[] {
  const lines: RecordLine[] = [header];
  let waiting = actors.map((actor) => [...actor]);
  for (let round = 0; waiting.length > 0; round += 1) {
    const actor = waiting[choose(round, waiting.length)] as RecordLine[];
    lines.push(actor.shift() as RecordLine);
    waiting = waiting.filter(({ length }) => length > 0);
  }
  return [...lines, { t: "end", lines: lines.length, atMs: 2_000 }];
}

export function makeRun(sends: number): Run {
  const world = new World();
  for (let i = 0; i < sends; i += 1) world.send(i);
  return world.end();
}

class World {
  readonly #log = new Map<string, Entry[]>(CONVERSATIONS.map((conversation) => [conversation, []]));
  readonly #clients = new Map<string, RecordLine[]>(REGIONS.map((region) => [region, []]));
  readonly #open: { readonly region: string; readonly outcome: OutcomeLine }[] = [];
  readonly #keyed: { readonly send: SendLine; readonly place: Place }[] = [];
  readonly #counts = new Map<string, number>();
  #lastId = FIRST_ID;

  /** Every kind of end comes again after a number of sends; all numbers have no common factor. */
  send(i: number): void {
    const send = this.#newSend(i);
    this.#write(send.region, send);
    const { producer, conversation, n } = send;
    const outcome = { t: "outcome" as const, producer, conversation, n, atMs: 1_000 + i };
    if (i % 23 === 7) this.#end(send, { ...outcome, status: "rejected", error: "OVERLOADED" });
    else if (i % 19 === 11) {
      this.#append(conversation, "void");
      this.#end(send, { ...outcome, status: "expired", error: "UNAVAILABLE" });
    } else if (i % 17 === 9) this.#end(send, { ...outcome, status: "unknown" });
    else {
      const place = this.#append(conversation, send);
      if (i % 17 === 5 || i % 29 === 3) this.#end(send, { ...outcome, status: "unknown" });
      if (i % 17 !== 5) this.#end(send, { ...outcome, status: "committed", ...place });
      if (send.key !== undefined) this.#keyed.push({ send, place });
    }
    if (this.#open.length > 3) this.#tell();
  }

  end(): Run {
    while (this.#open.length > 0) this.#tell();
    for (const { send, place } of this.#keyed) this.#sendAgain(send, place);
    while (this.#open.length > 0) this.#tell();
    const readers = REGIONS.map((region) => this.#reader(`${region}/1`, region, 0));
    const heads = REGIONS.map((region) => CONVERSATIONS.map((conversation) => this.#head(region, conversation)));
    const epochs = CONVERSATIONS.map((conversation) => ({ conversation, before: "99", after: "101" }));
    const faults: RecordLine[] = [
      { t: "fault", kind: "kill", region: "us-east", epochs, atMs: 1_200 },
      { t: "fault", kind: "restore", region: "us-east", epochs: [], atMs: 1_400 },
    ];
    return {
      header: {
        t: "header",
        version: 1,
        about: "a run that never was",
        startedAtMs: 1_000,
        regions: REGIONS,
        conversations: CONVERSATIONS,
      },
      actors: [...this.#clients.values(), ...readers, this.#reader("eu-west/late", "eu-west", 5), ...heads, faults],
    };
  }

  /** Producers and conversations change every other send, so that neighbours are one producer's. */
  #newSend(i: number): SendLine {
    const at = Math.floor(i / 2);
    const sender = NICKS[at % NICKS.length] as string;
    const region = REGIONS[at % REGIONS.length] as string;
    const conversation = CONVERSATIONS[at % 5 === 0 ? 0 : 1] as string;
    const body = i % 13 === 2 || i % 13 === 6 ? "yes" : `message ${i}`;
    return {
      t: "send",
      client: region,
      region,
      producer: `${region}/${sender}`,
      sender,
      conversation,
      n: this.#count(`${region}/${sender}`, conversation),
      digest: digestOf({ type: "text/plain", body: new TextEncoder().encode(body) }),
      ...(i % 31 === 16 ? { key: `key-${i}` } : {}),
      seenId: i % 4 === 0 && this.#lastId > FIRST_ID ? String(this.#lastId) : "0",
      atMs: 1_000 + i,
    };
  }

  /** The same key again is the same message: it has the seq and id of the first try, however much came in between. */
  #sendAgain(first: SendLine, place: Place): void {
    const { producer, conversation, region, atMs } = first;
    const send = { ...first, n: this.#count(producer, conversation), seenId: String(this.#lastId) };
    this.#write(region, send);
    this.#end(send, { t: "outcome", producer, conversation, n: send.n, atMs, status: "committed", ...place });
  }

  #count(producer: string, conversation: string): number {
    const name = `${producer} ${conversation}`;
    const n = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, n);
    return n;
  }

  #append(conversation: string, send: SendLine | "void"): Place {
    this.#lastId += 5n;
    const id = String(this.#lastId);
    const entries = this.#log.get(conversation) as Entry[];
    entries.push(send === "void" ? "void" : { id, sender: send.sender, digest: send.digest });
    return { seq: entries.length, id };
  }

  #end({ region }: SendLine, outcome: OutcomeLine): void {
    this.#open.push({ region, outcome });
  }

  #tell(): void {
    const told = this.#open.shift();
    if (told !== undefined) this.#write(told.region, told.outcome);
  }

  #write(region: string, line: RecordLine): void {
    this.#clients.get(region)?.push(line);
  }

  #reader(reader: string, region: string, after: number): RecordLine[] {
    return CONVERSATIONS.flatMap((conversation) => {
      const base = { reader, region, conversation, atMs: 1_500 };
      const entries = this.#log.get(conversation) as Entry[];
      const lines = entries.map((entry, i): RecordLine => {
        const seq = i + 1;
        if (entry === "void") return { t: "void", ...base, first: seq, last: seq };
        return { t: "delivery", ...base, seq, ...entry };
      });
      const startSeq = Math.min(after, entries.length);
      const start: RecordLine = { t: "position", ...base, seq: startSeq };
      return [start, ...lines.slice(startSeq), { t: "position", ...base, seq: entries.length }];
    });
  }

  #head(region: string, conversation: string): RecordLine {
    const seq = this.#log.get(conversation)?.length ?? 0;
    return { t: "head", region, conversation, seq, hash: "0123456789abcdef".repeat(2), atMs: 1_900 };
  }
}
