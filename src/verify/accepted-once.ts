import { type Attribution, type Group, seqsAllowed } from "./attribution.ts";
import type { Check } from "./check.ts";
import { type CommittedSend, type Conversation, isCommitted, isRefused, versionAt } from "./conversation.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";

/**
 * G3: a send stands at one seq at most, at the one and with the id that its sender was told, and no two sends share one.
 * What nobody sent stands nowhere.
 */
export class AcceptedOnce implements Check {
  readonly guarantee = "G3";
  readonly title = "every send was accepted once at most";
  readonly over = "sends";
  readonly findings = new Findings();
  #sends = 0;
  #alike = 0;
  #messages = 0;

  finish(history: History) {
    for (const conversation of history.conversations.values()) {
      const attribution = history.attribution(conversation);
      for (const group of attribution.groups()) this.#checkGroup(conversation, group);
      this.#checkUnsent(conversation, attribution);
      this.#checkAnswers(conversation, attribution);
    }
    return { sends: this.#sends, alike: this.#alike, messages: this.#messages };
  }

  #checkGroup({ name, places }: Conversation, group: Group): void {
    const { sends, seqs } = group;
    this.#sends += sends.length;
    if (sends.length > 1) this.#alike += sends.length;
    const refused = sends.filter(isRefused).length;
    // As many as were refused break G6: each of them was to stand nowhere.
    if (seqs.length <= seqsAllowed(group) + refused) return;
    const [send] = sends;
    const lines = seqs.map((seq) => places.get(seq)?.versions[0]?.line);
    const what =
      sends.length === 1 ? `send ${send?.n} of ${send?.producer} stands` : `${sends.length} sends of ${send?.sender} stand`;
    this.findings.add(
      [send?.line, ...lines],
      `${what} at ${seqs.length} places: ${seqs.map((seq) => `${name}#${seq}`).join(", ")}`,
    );
  }

  #checkUnsent(conversation: Conversation, attribution: Attribution): void {
    for (const place of conversation.places.values()) {
      if (place.versions.length > 0) this.#messages += 1;
      const version = versionAt(place);
      if (version === undefined || attribution.groupOf(version) !== undefined) continue;
      const told = `was handed to readers, but nobody sent it`;
      this.findings.add([version.line], `${conversation.name}#${place.seq}, id ${version.id} of ${version.sender}, ${told}`);
    }
  }

  #checkAnswers(conversation: Conversation, attribution: Attribution): void {
    const { name } = conversation;
    const answered = new Map<number, CommittedSend>();
    for (const send of conversation.sends()) {
      if (!isCommitted(send)) continue;
      const { seq, line } = send.outcome;
      const other = answered.get(seq);
      if (other === undefined) answered.set(seq, send);
      else if (send.key === undefined || send.key !== other.key) {
        const two = `send ${other.n} of ${other.producer} and send ${send.n} of ${send.producer}`;
        this.findings.add([other.outcome.line, line], `${two} were both acknowledged at ${name}#${seq}`);
      }
      if (attribution.isFoundAt(send, seq)) this.#checkId(conversation, send);
      else this.#checkStray(conversation, attribution, send);
    }
  }

  #checkId({ name, places }: Conversation, { n, producer, outcome }: CommittedSend): void {
    const versions = places.get(outcome.seq)?.versions ?? [];
    if (versions.some(({ id }) => id === outcome.id)) return;
    const told = `was acknowledged at ${name}#${outcome.seq} with id ${outcome.id}, but readers were handed id ${versions[0]?.id}`;
    this.findings.add([outcome.line, versions[0]?.line], `send ${n} of ${producer} ${told}`);
  }

  #checkStray({ name, places }: Conversation, attribution: Attribution, send: CommittedSend): void {
    const stray = attribution.strayOf(send);
    if (stray === undefined) return;
    const told = `was acknowledged at ${name}#${send.outcome.seq}, but stands at #${stray}`;
    this.findings.add([send.outcome.line, places.get(stray)?.versions[0]?.line], `send ${send.n} of ${send.producer} ${told}`);
  }
}
