import { type Group, seqsAllowed } from "./attribution.ts";
import type { Check } from "./check.ts";
import { type Conversation, isRefused } from "./conversation.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import type { OutcomeLine, RecordLine } from "./record.ts";

/**
 * G6: every send ends, and once: `unknown` may be resolved later, nothing else changes. What was said to be rejected or
 * expired was handed to nobody. What ended `unknown` may stand in the log or not.
 */
export class ClearEnds implements Check {
  readonly guarantee = "G6";
  readonly title = "every send has one end, and it is true";
  readonly over = "sends";
  readonly findings = new Findings();
  #resolved = 0;

  see(lineNumber: number, line: RecordLine, history: History): void {
    if (line.t !== "outcome") return;
    const send = history.conversation(line.conversation).send(line.producer, line.n);
    const former = send?.outcome;
    if (send === undefined || former === undefined) return;
    if (former.status === "unknown") {
      if (line.status !== "unknown") this.#resolved += 1;
      return;
    }
    const told = `had ended as ${endOf(former)} and ended again as ${endOf(line)}`;
    this.findings.add([send.line, former.line, lineNumber], `send ${send.n} of ${send.producer} in ${send.conversation} ${told}`);
  }

  finish(history: History) {
    const counts = { sends: 0, committed: 0, rejected: 0, expired: 0, unknown: 0 };
    for (const conversation of history.conversations.values()) {
      for (const send of conversation.sends()) {
        counts.sends += 1;
        if (send.outcome !== undefined) counts[send.outcome.status] += 1;
        else this.findings.add([send.line], `send ${send.n} of ${send.producer} in ${send.conversation} has no outcome`);
      }
      for (const group of history.attribution(conversation).groups()) this.#checkRefused(conversation, group);
    }
    return { ...counts, resolved: this.#resolved };
  }

  /** With more seqs than sends that may stand somewhere, some that were refused do. */
  #checkRefused({ name, places }: Conversation, group: Group): void {
    const refused = group.sends.filter(isRefused);
    const [send] = refused;
    if (send === undefined || group.seqs.length <= seqsAllowed(group)) return;
    const seqs = group.seqs.map((seq) => `${name}#${seq}`).join(", ");
    const lines = group.seqs.map((seq) => places.get(seq)?.versions[0]?.line);
    const who =
      group.sends.length === 1
        ? `send ${send.n} of ${send.producer}`
        : `one of ${group.sends.length} like sends of ${send.sender}`;
    this.findings.add(
      [send.line, send.outcome?.line, ...lines],
      `${who} was ${send.outcome?.status}, but its content stands at ${seqs}`,
    );
  }
}

function endOf(outcome: OutcomeLine): string {
  return outcome.status === "committed" ? `committed at #${outcome.seq}` : outcome.status;
}
