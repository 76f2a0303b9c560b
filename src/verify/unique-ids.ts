import type { Check } from "./check.ts";
import { type Conversation, versionAt } from "./conversation.ts";
import { compareDecimals } from "./fields.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";

/** G5: no id is given twice, over all conversations, and inside one they grow with seq. */
export class UniqueIds implements Check {
  readonly guarantee = "G5";
  readonly title = "ids are unique and grow with seq";
  readonly over = "ids";
  readonly findings = new Findings();
  readonly #places = new Map<string, { readonly place: string; readonly line: number }>();

  finish(history: History) {
    for (const conversation of history.conversations.values()) this.#check(conversation);
    return { ids: this.#places.size, conversations: history.conversations.size };
  }

  #check(conversation: Conversation): void {
    let last: { readonly id: string; readonly place: string; readonly line: number } | undefined;
    for (const seen of conversation.inOrder()) {
      const version = versionAt(seen);
      if (version === undefined) continue;
      const { id, line } = version;
      const place = `${conversation.name}#${seen.seq}`;
      const other = this.#places.get(id);
      if (other === undefined) this.#places.set(id, { place, line });
      else this.findings.add([other.line, line], `${place} has the id ${id}, which ${other.place} has too`);
      if (last !== undefined && compareDecimals(id, last.id) < 0) {
        this.findings.add([last.line, line], `${place} has the id ${id}, below the id ${last.id} of ${last.place}`);
      }
      last = { id, place, line };
    }
  }
}
