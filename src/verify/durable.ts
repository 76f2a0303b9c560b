import type { Attribution } from "./attribution.ts";
import type { Check } from "./check.ts";
import { type CommittedSend, type Conversation, isCommitted } from "./conversation.ts";
import { Findings } from "./findings.ts";
import type { History } from "./history.ts";

/**
 * G2: what was acknowledged stands in the log, and in the end the readers of every region that is not lost were handed it.
 * So were they all else that some reader was handed: it was committed, or nobody had been shown it.
 *
 * A record cannot see disks. It shows that no acknowledged message was lost in the run, with the faults that it had.
 */
export class Durable implements Check {
  readonly guarantee = "G2";
  readonly title = "what was acknowledged reached every region";
  readonly over = "committed";
  readonly findings = new Findings();
  #committed = 0;
  #deliveries = 0;

  finish(history: History) {
    const regions = history.liveRegions;
    for (const conversation of history.conversations.values()) {
      this.#checkCommitted(conversation, history.attribution(conversation));
      const read = regions.filter((region) => this.#isRead(conversation, region));
      this.#checkRegions(conversation, history, read);
      for (const region of read) this.#checkHead(conversation, region);
    }
    return { committed: this.#committed, deliveries: this.#deliveries, regions: regions.length };
  }

  #checkCommitted(conversation: Conversation, attribution: Attribution): void {
    for (const send of conversation.sends()) {
      if (!isCommitted(send)) continue;
      this.#committed += 1;
      const { seq } = send.outcome;
      // One that stands elsewhere is not lost: it was accepted at another seq than was said (G3).
      const isThere = attribution.isFoundAt(send, seq) || attribution.strayOf(send) !== undefined;
      if (!isThere) this.#lost(conversation, send);
    }
  }

  #lost(conversation: Conversation, send: CommittedSend): void {
    const { seq } = send.outcome;
    const place = conversation.places.get(seq);
    const version = place?.versions[0];
    let found = "no reader was handed anything there";
    if (version !== undefined) found = `readers were handed id ${version.id} of ${version.sender} there`;
    else if (place?.voidLine !== undefined) found = "readers were told that it is a void";
    const told = `was acknowledged at ${conversation.name}#${seq}, but ${found}`;
    this.findings.add(
      [send.line, send.outcome.line, version?.line ?? place?.voidLine],
      `send ${send.n} of ${send.producer} ${told}`,
    );
  }

  /** A region without readers would let every check of it hold over nothing. */
  #isRead({ name, walks, places }: Conversation, region: string): boolean {
    if ([...walks.values()].some((walk) => walk.region === region)) return true;
    const [place] = places.values();
    if (place !== undefined) {
      const line = place.versions[0]?.line ?? place.voidLine;
      this.findings.add([line], `nobody read ${name} in ${region}, which was not lost`);
    }
    return false;
  }

  #checkRegions({ name, places }: Conversation, history: History, regions: readonly string[]): void {
    for (const { seq, versions, deliveredIn, voidIn } of places.values()) {
      const [version] = versions;
      if (version === undefined) continue;
      // A void that others were handed breaks G1; it was not left out.
      const missing = regions.filter((region) => ((deliveredIn | voidIn) & history.bitOf(region)) === 0);
      this.#deliveries += regions.length - missing.length;
      if (missing.length === 0) continue;
      const told = `was handed to readers, but to none in ${missing.join(", ")}`;
      this.findings.add([version.line], `${name}#${seq}, id ${version.id} of ${version.sender}, ${told}`);
    }
  }

  #checkHead({ name, walks, heads, places }: Conversation, region: string): void {
    const head = heads.get(region);
    if (head === undefined) return;
    const furthest = [...walks.values()].filter((walk) => walk.region === region).sort((a, b) => b.seq - a.seq)[0];
    if (furthest !== undefined && furthest.seq < head.seq) {
      const told = `goes to ${name}#${head.seq}, but no reader there came further than #${furthest.seq}`;
      this.findings.add([furthest.line, head.line], `the log in ${region} ${told}`);
    }
    let above: { readonly seq: number; readonly line: number | undefined } | undefined;
    for (const { seq, versions } of places.values()) {
      if (versions.length > 0 && seq > (above?.seq ?? head.seq)) above = { seq, line: versions[0]?.line };
    }
    if (above === undefined) return;
    const told = `ends at ${name}#${head.seq}, but a reader was handed #${above.seq}`;
    this.findings.add([above.line, head.line], `the log in ${region} ${told}`);
  }
}
