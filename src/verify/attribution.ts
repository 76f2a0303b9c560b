/**
 * Which send stands at which seq.
 *
 * A delivery does not say which send it comes from: it hands back the sender and the content. So sends are grouped by these,
 * and each group is compared with the seqs where its content was handed over. In a group of one, the normal case, every
 * question has one answer. In a larger one (a nick that said "yes" twice, recorded without anything that tells the two
 * apart) only numbers can be compared: two sends may stand at two seqs, never at three. What is claimed on the strength of a
 * group is therefore always true, but a duplicate can hide behind a loss in a group with an unknown outcome.
 *
 * Seqs with several versions are left out: they break G1, and what they say about sends is not clear.
 */
import { LIMITS } from "../kernel/limits.ts";
import { type Conversation, isCommitted, isRefused, type Send, versionAt } from "./conversation.ts";

/** Sends of one sender with one content, and where that content stands. */
export interface Group {
  readonly sends: readonly Send[];
  /** In growing order. */
  readonly seqs: readonly number[];
}

export class Attribution {
  readonly #conversation: Conversation;
  readonly #groups = new Map<string, { sends: Send[]; seqs: number[] }>();
  /** How many sends gave each key. */
  readonly #keyed = new Map<string, number>();

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
    for (const send of conversation.sends()) {
      const group = this.#groups.get(nameOf(send));
      if (group === undefined) this.#groups.set(nameOf(send), { sends: [send], seqs: [] });
      else group.sends.push(send);
      if (send.key !== undefined) this.#keyed.set(send.key, (this.#keyed.get(send.key) ?? 0) + 1);
    }
    for (const place of conversation.inOrder()) {
      const version = versionAt(place);
      if (version !== undefined) this.#groups.get(nameOf(version))?.seqs.push(place.seq);
    }
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  /** The sends that a content can come from; undefined if nobody sent it. */
  groupOf(content: { readonly sender: string; readonly digest: string }): Group | undefined {
    return this.#groups.get(nameOf(content));
  }

  /** Whether a send shares its key with others: then it is one message with them, and may have an older seq and id. */
  isRepeated({ key }: Send): boolean {
    return key !== undefined && (this.#keyed.get(key) ?? 0) > 1;
  }

  /** Whether readers were handed the send's content at the seq where it is said to stand. */
  isFoundAt(send: Send, seq: number): boolean {
    const versions = this.#conversation.places.get(seq)?.versions ?? [];
    return versions.some(({ sender, digest }) => sender === send.sender && digest === send.digest);
  }

  /** A seq where the send's content stands although none of its group was acknowledged there. */
  strayOf(send: Send): number | undefined {
    const group = this.groupOf(send);
    const claimed = new Set(group?.sends.filter(isCommitted).map(({ outcome }) => outcome.seq));
    return group?.seqs.find((seq) => !claimed.has(seq));
  }

  /** Where the send stands: as it was acknowledged, or as readers found it if that can only be it. */
  seqOf(send: Send): number | undefined {
    if (isCommitted(send)) return send.outcome.seq;
    const group = this.groupOf(send);
    return group?.sends.length === 1 && group.seqs.length === 1 ? group.seqs[0] : undefined;
  }
}

/**
 * How many seqs the sends of a group may take at most: one each, and those of one key together one. A leader remembers a key
 * for the last messages of the conversation only: after that a send with it is a new message.
 */
export function seqsAllowed({ sends, seqs }: Group): number {
  const accepted = sends.filter((send) => !isRefused(send));
  const keyed = accepted.filter(({ key }) => key !== undefined);
  const keys = new Set(keyed.map(({ key }) => key));
  const forgotten = seqs.filter((seq, i) => seq - (seqs[i - 1] ?? seq) > LIMITS.dedupMessages);
  return accepted.length - keyed.length + Math.min(keyed.length, keys.size + forgotten.length);
}

function nameOf({ sender, digest }: { readonly sender: string; readonly digest: string }): string {
  return `${digest} ${sender}`;
}
