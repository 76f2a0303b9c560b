import type { Attribution } from "./attribution.ts";
import type { Check } from "./check.ts";
import { type Conversation, isCommitted } from "./conversation.ts";
import { compareDecimals } from "./fields.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";

/** G8: what a client sent has a larger id than all that the client had seen before: deliveries, and its own outcomes. */
export class CauseBeforeEffect implements Check {
  readonly guarantee = "G8";
  readonly title = "ids are above what their senders had seen";
  readonly over = "compared";
  readonly findings = new Findings();
  #committed = 0;
  #compared = 0;

  finish(history: History) {
    for (const conversation of history.conversations.values()) this.#check(conversation, history.attribution(conversation));
    return { committed: this.#committed, compared: this.#compared };
  }

  #check(conversation: Conversation, attribution: Attribution): void {
    for (const send of conversation.sends()) {
      if (!isCommitted(send)) continue;
      this.#committed += 1;
      // A repeat of a key answers with the id of its first try, which may be an old one.
      if (send.seen.id === "0" || attribution.isRepeated(send)) continue;
      this.#compared += 1;
      const { id, seq, line } = send.outcome;
      if (compareDecimals(id, send.seen.id) > 0) continue;
      const told = `got the id ${id} at ${conversation.name}#${seq}, not above ${send.seen.id}, which its client had seen`;
      this.findings.add([send.line, line, send.seen.line], `send ${send.n} of ${send.producer} ${told}`);
    }
  }
}
