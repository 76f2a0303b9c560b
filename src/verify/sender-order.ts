import type { Attribution } from "./attribution.ts";
import type { Check } from "./check.ts";
import type { Conversation, Send } from "./conversation.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";

/** G7: in a conversation, what a producer sent later stands later. */
export class SenderOrder implements Check {
  readonly guarantee = "G7";
  readonly title = "every producer's order was kept";
  readonly over = "compared";
  readonly findings = new Findings();
  #compared = 0;

  finish(history: History) {
    const producers = new Set<string>();
    for (const conversation of history.conversations.values()) {
      const attribution = history.attribution(conversation);
      for (const [producer, sends] of conversation.streams) {
        producers.add(producer);
        this.#check(conversation, attribution, sends);
      }
    }
    return { producers: producers.size, compared: this.#compared };
  }

  #check({ name }: Conversation, attribution: Attribution, sends: readonly Send[]): void {
    let last: { readonly send: Send; readonly seq: number } | undefined;
    for (const send of sends) {
      // A repeat of a key answers with the seq of its first try, which may be an old one.
      const seq = attribution.isRepeated(send) ? undefined : attribution.seqOf(send);
      if (seq === undefined) continue;
      if (last !== undefined) this.#compared += 1;
      // Two sends at one seq break G3.
      if (last !== undefined && seq < last.seq) {
        const told = `stands at ${name}#${seq}, before its send ${last.send.n} at #${last.seq}`;
        this.findings.add([last.send.line, send.line], `send ${send.n} of ${send.producer} ${told}`);
      } else {
        last = { send, seq };
      }
    }
  }
}
