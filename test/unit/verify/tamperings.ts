import type { DeliveryLine, OutcomeLine, RecordLine, SendLine, VoidLine } from "../../../src/verify/record.ts";
import { type Acked, isOf, type Tampered } from "./tampered.ts";

const OTHER_DIGEST = "f".repeat(32);
const EU = "eu-west/1";
const US = "us-east/1";

export interface Tampering {
  readonly name: string;
  /** Breaks these and no others. */
  readonly breaks: readonly string[];
  readonly sentence: RegExp;
  /** Changes the record at one place. The line that it answers must be among those of the violation. */
  tamper(record: Tampered): RecordLine;
}

/** For each kind of violation a valid record with one thing wrong. */
export const TAMPERINGS: readonly Tampering[] = [
  {
    name: "G1: a reader was handed another content",
    breaks: ["G1"],
    sentence: /^standup#21 is id \d+ of \w+ with digest .*, but reader us-east\/1 of us-east was handed/,
    tamper: (record) => record.change(record.one("delivery", at(US, 21)), { digest: OTHER_DIGEST }),
  },
  {
    name: "G1: a reader was handed another sender's name",
    breaks: ["G1"],
    sentence: /^standup#21 is .* of mallory/,
    tamper: (record) => record.change(record.firstHanded("standup", 21), { sender: "mallory" }),
  },
  {
    name: "G1: a reader was handed another id",
    breaks: ["G1"],
    sentence: /^standup#21 is id \d+/,
    tamper: (record) => record.change(record.one("delivery", at(US, 21)), { id: "1" }),
  },
  {
    name: "G1: a message is a void to one reader",
    breaks: ["G1"],
    sentence: /^standup#21 is .*a void to (one )?reader/,
    tamper: (record) => {
      const line = record.one("delivery", at(US, 21));
      return record.replace(line, asVoid(line));
    },
  },
  {
    name: "G1: a void is a message to one reader",
    breaks: ["G1"],
    sentence: /was handed id 5 of mallory|id 5 of mallory .*, but a void to reader/,
    tamper: (record) => {
      const hole = record.one("void", inStandupOf(US));
      return record.replace(hole, asDelivery(hole, { id: "5", sender: "mallory", digest: OTHER_DIGEST }));
    },
  },
  {
    name: "G1: a reader of several in its region was not handed a message",
    breaks: ["G1"],
    sentence: /^reader eu-west\/1 of eu-west was handed #22 but never standup#21$/,
    tamper: (record) => {
      record.remove([record.one("delivery", at(EU, 21))]);
      return record.one("delivery", at(EU, 22));
    },
  },
  {
    name: "G1: a reader passed a void without a word",
    breaks: ["G1"],
    sentence: /^reader us-east\/1 of us-east was handed #\d+ but never standup#\d+$/,
    tamper: (record) => {
      const hole = record.one("void", inStandupOf(US));
      record.remove([hole]);
      return record.one("delivery", at(US, hole.first - 1));
    },
  },
  {
    name: "G1: a reader claims to have come further than it was handed",
    breaks: ["G1"],
    sentence: /^reader us-east\/1 of us-east says that it has come to standup#9000/,
    tamper: (record) => record.change(record.last("position", inStandupOf(US)), { seq: 9_000 }),
  },
  {
    name: "G1: two regions' heads are different logs",
    breaks: ["G1"],
    sentence: /^the log up to standup#\d+ has the hash/,
    tamper: (record) => record.change(record.one("head", inStandup), { hash: "9".repeat(32) }),
  },
  {
    name: "G1: an epoch fell",
    breaks: ["G1"],
    sentence: /^the epoch of standup fell from 101 to 100$/,
    tamper: (record) => {
      const epochs = [{ conversation: "standup", before: "100", after: "102" }];
      return record.change(record.last("fault"), { epochs });
    },
  },
  {
    name: "G2: an acknowledged message is a void to everybody",
    breaks: ["G2"],
    sentence: /^send \d+ of \S+ was acknowledged at standup#\d+, but readers were told that it is a void$/,
    tamper: (record) => {
      const { send, outcome } = record.someAcked();
      for (const line of record.handed(send.conversation, outcome.seq)) record.replace(line, asVoid(line));
      return outcome;
    },
  },
  {
    name: "G2, G3: something else stands where a message was acknowledged",
    breaks: ["G2", "G3"],
    sentence: /^send \d+ of \S+ was acknowledged at standup#\d+, but readers were handed id \d+ of \w+ there$/,
    tamper: (record) => {
      const { send, outcome } = record.someAcked();
      for (const line of record.handed(send.conversation, outcome.seq)) record.change(line, { digest: OTHER_DIGEST });
      return outcome;
    },
  },
  {
    name: "G2: the last messages never came to a region",
    breaks: ["G2"],
    sentence: /^standup#\d+, id \d+ of \w+, was handed to readers, but to none in us-east$/,
    tamper: (record) => {
      const last = record.last("delivery", inStandupOf(US));
      record.remove([last, record.last("position", inStandupOf(US))]);
      return record.firstHanded("standup", last.seq);
    },
  },
  {
    name: "G2: a region's reader stopped short of its log",
    breaks: ["G2"],
    sentence: /^the log in us-east goes to standup#\d+, but no reader there came further than #\d+$/,
    tamper: (record) => {
      record.remove([record.last("delivery", inStandupOf(US)), record.last("position", inStandupOf(US))]);
      return record.last("delivery", inStandupOf(US));
    },
  },
  {
    name: "G2: of two messages that look alike one was lost",
    breaks: ["G2"],
    sentence: /^send \d+ of \S+ was acknowledged at standup#\d+, but readers were told that it is a void$/,
    tamper: (record) => {
      const outcome = record.one("outcome", (line) => isOneOfTwo(record, line));
      const seq = outcome.status === "committed" ? outcome.seq : 0;
      for (const line of record.handed("standup", seq)) record.replace(line, asVoid(line));
      return outcome;
    },
  },
  {
    name: "G1, G2: the only reader of a region was not handed a message",
    breaks: ["G1", "G2"],
    sentence: /^standup#21, id \d+ of \w+, was handed to readers, but to none in us-east$/,
    tamper: (record) => {
      record.remove([record.one("delivery", at(US, 21))]);
      return record.firstHanded("standup", 21);
    },
  },
  {
    name: "G2: a region's log ends before what its readers were handed",
    breaks: ["G2"],
    sentence: /^the log in \S+ ends at standup#20, but a reader was handed #\d+$/,
    tamper: (record) => record.change(record.one("head", inStandup), { seq: 20 }),
  },
  {
    name: "G2: nobody came to a region's head",
    breaks: ["G2"],
    sentence: /^the log in \S+ goes to standup#9000, but no reader there came further than #\d+$/,
    tamper: (record) => record.change(record.one("head", inStandup), { seq: 9_000 }),
  },
  {
    name: "G2: nobody read in a region",
    breaks: ["G2"],
    sentence: /^nobody read standup in us-east, which was not lost$/,
    tamper: (record) => {
      const isThere = ({ reader }: { readonly reader: string }) => reader === US;
      record.remove([...record.all("delivery", isThere), ...record.all("void", isThere), ...record.all("position", isThere)]);
      return record.firstHanded("standup", 1);
    },
  },
  {
    name: "G3: a message stands twice",
    breaks: ["G3"],
    sentence: /^send \d+ of \S+ stands at 2 places: standup#\d+, standup#\d+$/,
    tamper: (record) => {
      const { send } = record.someAcked();
      fillVoids(record, send);
      return send;
    },
  },
  {
    name: "G3: a message of unknown end stands twice",
    breaks: ["G3"],
    sentence: /^send \d+ of \S+ stands at 2 places: standup#\d+, standup#\d+$/,
    tamper: (record) => {
      const send = record.one("send", (sent) => isFoundUnknown(record, sent));
      fillVoids(record, send);
      return send;
    },
  },
  {
    name: "G3: nobody sent what readers were handed",
    breaks: ["G3"],
    sentence: /^standup#\d+, id \d+ of mallory, was handed to readers, but nobody sent it$/,
    tamper: (record) => {
      fillVoids(record, { sender: "mallory", digest: OTHER_DIGEST });
      return record.one("delivery", ({ sender }) => sender === "mallory");
    },
  },
  {
    name: "G3: a message stands elsewhere than was said",
    breaks: ["G3"],
    sentence: /^send \d+ of \S+ was acknowledged at standup#9000, but stands at #\d+$/,
    tamper: (record) => {
      // No message of the same producer follows, so that only its own place is wrong.
      const { outcome } = record.lastAcked(({ send }) => inStandup(send));
      return record.change(outcome, { seq: 9_000 });
    },
  },
  {
    name: "G3: a message has another id than was said",
    breaks: ["G3"],
    sentence: /^send \d+ of \S+ was acknowledged at standup#\d+ with id \d+, but readers were handed id \d+$/,
    tamper: (record) => {
      const { outcome } = record.someAcked();
      return record.change(outcome, { id: String(BigInt(outcome.id) - 1n) });
    },
  },
  {
    name: "G3: two sends were told the same seq",
    breaks: ["G3"],
    sentence: /^send \d+ of \S+ and send \d+ of \S+ were both acknowledged at \S+#\d+$/,
    tamper: (record) => {
      const [one, other] = record.neighbours();
      return record.change(other.outcome, { seq: one.outcome.seq, id: one.outcome.id });
    },
  },
  {
    name: "G4: a message was handed over twice",
    breaks: ["G4"],
    sentence: /^reader us-east\/1 of us-east was handed standup#21 after it had come to #21: a second time$/,
    tamper: (record) => {
      const line = record.one("delivery", at(US, 21));
      return record.addAfter(line, { ...line });
    },
  },
  {
    name: "G4: a message was handed over again much later",
    breaks: ["G4"],
    sentence: /^reader us-east\/1 of us-east was handed standup#21 after it had come to #\d+: a second time$/,
    tamper: (record) => record.addAfter(record.last("delivery", inStandupOf(US)), { ...record.one("delivery", at(US, 21)) }),
  },
  {
    name: "G4: two messages were handed over in the wrong order",
    breaks: ["G4"],
    sentence: /^reader us-east\/1 of us-east was handed standup#21 after it had come to #22: out of order$/,
    tamper: (record) => record.exchange(record.one("delivery", at(US, 21)), record.one("delivery", at(US, 22))),
  },
  {
    name: "G4: a reader went back",
    breaks: ["G4"],
    sentence: /^reader us-east\/1 of us-east went back from standup#\d+ to #7$/,
    tamper: (record) => record.change(record.last("position", inStandupOf(US)), { seq: 7 }),
  },
  {
    name: "G5: two messages of two conversations have one id",
    breaks: ["G5"],
    sentence: /^standup#\d+ has the id \d+, which orders@eu-west#\d+ has too$/,
    tamper: (record) => {
      const { outcome } = record.lastAcked(({ send }) => !inStandup(send));
      const isNext = (next: Acked) => inStandup(next.send) && next.send.seenId === "0" && isAbove(next.outcome, outcome);
      return giveId(record, record.firstAcked(isNext), outcome.id);
    },
  },
  {
    name: "G5: ids fall",
    breaks: ["G5"],
    sentence: /^\S+#\d+ has the id \d+, below the id \d+ of \S+#\d+$/,
    tamper: (record) => {
      const [one, other] = record.neighbours();
      const id = one.outcome.id;
      giveId(record, one, other.outcome.id);
      return giveId(record, other, id);
    },
  },
  {
    name: "G6: a send has no end",
    breaks: ["G6"],
    sentence: /^send \d+ of \S+ in standup has no outcome$/,
    tamper: (record) => {
      const { send, outcome } = record.someAcked();
      record.remove([outcome]);
      return send;
    },
  },
  {
    name: "G6: a send ended twice",
    breaks: ["G6"],
    sentence: /^send \d+ of \S+ in standup had ended as committed at #\d+ and ended again as expired$/,
    tamper: (record) => {
      const { outcome } = record.someAcked();
      return record.addAfter(outcome, { ...baseOf(outcome), status: "expired", error: "UNAVAILABLE" });
    },
  },
  {
    name: "G6: a send was committed twice",
    breaks: ["G6"],
    sentence: /^send \d+ of \S+ in standup had ended as committed at #\d+ and ended again as committed at #9000$/,
    tamper: (record) => {
      const { outcome } = record.someAcked();
      return record.addAfter(outcome, { ...outcome, seq: 9_000 });
    },
  },
  {
    name: "G6: a committed send became unknown",
    breaks: ["G6"],
    sentence: /had ended as committed at #\d+ and ended again as unknown$/,
    tamper: (record) => {
      const { outcome } = record.someAcked();
      return record.addAfter(outcome, { ...baseOf(outcome), status: "unknown" });
    },
  },
  ...(["rejected", "expired"] as const).map(
    (status): Tampering => ({
      name: `G6: a ${status} message was handed over`,
      breaks: ["G6"],
      sentence: new RegExp(`^send \\d+ of \\S+ was ${status}, but its content stands at standup#\\d+$`),
      tamper: (record) => {
        const { outcome } = record.someAcked();
        return record.replace(outcome, { ...baseOf(outcome), status, error: "OVERLOADED" });
      },
    }),
  ),
  {
    name: "G7: two messages of a producer stand in the wrong order",
    breaks: ["G7"],
    sentence: /^send \d+ of \S+ stands at \S+#\d+, before its send \d+ at #\d+$/,
    tamper: (record) => {
      const [one, other] = record.neighbours();
      exchangeMessages(record, one, other);
      return one.send;
    },
  },
  {
    name: "G7: a message of unknown end stands in the wrong order",
    breaks: ["G7"],
    sentence: /^send \d+ of \S+ stands at \S+#\d+, before its send \d+ at #\d+$/,
    tamper: (record) => {
      const [one, other] = record.neighbours();
      exchangeMessages(record, one, other);
      record.replace(one.outcome, { ...baseOf(one.outcome), status: "unknown" });
      return one.send;
    },
  },
  {
    name: "G8: a message's id is not above what its client was handed",
    breaks: ["G8"],
    sentence: /^send \d+ of \S+ got the id (\d+) at standup#\d+, not above \1, which its client had seen$/,
    tamper: (record) => {
      const { send, outcome } = record.someAcked();
      return record.change(send, { seenId: outcome.id });
    },
  },
  {
    name: "G8: a message's id is below that of an earlier one of its client, in another conversation",
    breaks: ["G8"],
    sentence: /^send \d+ of \S+ got the id \d+ at \S+#\d+, not above \d+, which its client had seen$/,
    tamper: (record) => {
      // The client sends the last message of a stream only when it has been told of all others.
      const { send, outcome } = record.firstAcked((acked) => isLastOfStream(record, acked));
      const isClients = ({ producer }: OutcomeLine) => producer.startsWith(send.client);
      record.remove([send, outcome]);
      record.addAfter(record.last("outcome", isClients), send);
      record.addAfter(send, outcome);
      return send;
    },
  },
];

function at(reader: string, seq: number) {
  return (line: { readonly reader: string; readonly conversation: string; readonly seq: number }) =>
    line.reader === reader && line.conversation === "standup" && line.seq === seq;
}

function inStandup({ conversation }: { readonly conversation: string }): boolean {
  return conversation === "standup";
}

function inStandupOf(reader: string) {
  return (line: { readonly reader: string; readonly conversation: string }) => line.reader === reader && inStandup(line);
}

/** Hands a content to everybody at the last void of standup, where an id is free. */
export function fillVoids(record: Tampered, content: { readonly sender: string; readonly digest: string }): void {
  const { first: seq } = record.last("void", inStandup);
  const id = String(BigInt(record.firstHanded("standup", seq - 1).id) + 1n);
  const { sender, digest } = content;
  for (const hole of record.all("void", (line) => inStandup(line) && line.first === seq)) {
    record.replace(hole, asDelivery(hole, { id, sender, digest }));
  }
}

function isFoundUnknown(record: Tampered, send: SendLine): boolean {
  const outcomes = record.all("outcome", (outcome) => isOf(outcome, send));
  const isUnknown = outcomes.every(({ status }) => status === "unknown");
  const alike = record.all("send", ({ digest, sender }) => digest === send.digest && sender === send.sender);
  const found = record.all("delivery", ({ digest, reader }) => digest === send.digest && reader === US);
  return inStandup(send) && isUnknown && alike.length === 1 && found.length === 1;
}

function isLastOfStream(record: Tampered, { send, outcome }: Acked): boolean {
  const { n } = record.last(
    "send",
    ({ producer, conversation }) => producer === send.producer && conversation === send.conversation,
  );
  const told = record.all("outcome", ({ producer }) => producer.startsWith(send.client));
  return n === send.n && told.some((other) => other.status === "committed" && isAbove(other, outcome));
}

/** Whether the outcome acknowledges the second of two sends that look alike, the first of which is acknowledged too. */
function isOneOfTwo(record: Tampered, outcome: OutcomeLine): boolean {
  if (outcome.status !== "committed" || !inStandup(outcome)) return false;
  const { digest, sender } = record.one("send", (send) => isOf(outcome, send));
  const alike = record.all("send", (send) => send.digest === digest && send.sender === sender && inStandup(send));
  const ends = alike.map((send) => record.one("outcome", (line) => isOf(line, send)));
  return ends.length === 2 && ends[1] === outcome && ends[0]?.status === "committed" && alike[0]?.key === undefined;
}

/** The message has this id, for its sender and for everybody. */
function giveId(record: Tampered, { send, outcome }: Acked, id: string): RecordLine {
  for (const line of record.handed(send.conversation, outcome.seq)) record.change(line, { id });
  record.change(outcome, { id });
  return record.firstHanded(send.conversation, outcome.seq);
}

/** Each of two sends was the other one's message, and was told so. */
function exchangeMessages(record: Tampered, one: Acked, other: Acked): void {
  const [{ digest }, { seq, id }] = [one.send, one.outcome];
  record.change(one.send, { digest: other.send.digest });
  record.change(one.outcome, { seq: other.outcome.seq, id: other.outcome.id });
  record.change(other.send, { digest });
  record.change(other.outcome, { seq, id });
}

function isAbove(one: { readonly id: string }, other: { readonly id: string }): boolean {
  return BigInt(one.id) > BigInt(other.id);
}

/** The outcome without what it says. */
function baseOf({ t, producer, conversation, n, atMs }: OutcomeLine) {
  return { t, producer, conversation, n, atMs };
}

function asVoid({ reader, region, conversation, seq, atMs }: DeliveryLine): VoidLine {
  return { t: "void", reader, region, conversation, first: seq, last: seq, atMs };
}

function asDelivery(
  { reader, region, conversation, first, atMs }: VoidLine,
  content: Pick<DeliveryLine, "id" | "sender" | "digest">,
): DeliveryLine {
  return { t: "delivery", reader, region, conversation, seq: first, ...content, atMs };
}
