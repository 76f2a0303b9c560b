import { Background } from "../kernel/background.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Watermark } from "../log/batch.ts";
import type { Claim } from "../membership/claim.ts";
import type { Membership } from "../membership/membership.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Attachment, Fate, FeedListener, LeaderDescription, Leadership, SubmitRun } from "../routing/leaders.ts";
import { type Ids, Leader } from "./leader.ts";
import { Ledger, type Opened, Opener } from "./opening.ts";

const SWEEP_MS = 1_000;
const DRAIN_MS = 5_000;

export interface ConversationsOptions {
  /** This node's name. */
  readonly node: string;
  readonly membership: Membership;
  readonly store: LogStore;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

type Slot =
  | { readonly kind: "opening"; readonly leader: Promise<Leader> }
  | { readonly kind: "open"; readonly leader: Leader; readonly wroteNothing: boolean }
  | { readonly kind: "closing"; readonly leader: Leader; readonly done: Promise<void> };

/** The conversations that this node leads: opened when somebody asks, put aside when nobody does. */
export class Conversations implements Leadership {
  readonly #options: ConversationsOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #ledger = new Ledger();
  readonly #opener: Opener;
  readonly #background: Background;

  constructor(options: ConversationsOptions) {
    this.#options = options;
    this.#opener = new Opener({ ...options, ledger: this.#ledger });
    this.#background = new Background((what, error) => this.#report(what, error));
    options.membership.bind({
      claimLost: (claim) => this.#claimLost(claim),
      drainClaim: (claim) => this.#drainClaim(claim),
    });
  }

  start(): void {
    this.#background.run("sweep", async (signal) => {
      while (!signal.aborted) {
        await sleep(this.#options.clock, SWEEP_MS, signal);
        await this.#sweep();
      }
    });
  }

  stop(): Promise<void> {
    return this.#background.stop();
  }

  async submit(run: SubmitRun): Promise<readonly Fate[]> {
    const slot = this.#slots.get(run.conversation);
    const leader = slot?.kind === "open" ? slot.leader : await this.leader(run.conversation);
    return leader.submit(run);
  }

  async attach(conversation: string, listener: FeedListener, known?: Watermark): Promise<Attachment> {
    const leader = await this.leader(conversation, known);
    if (known !== undefined && known.seq > leader.head.seq) throw this.#behind(leader, known);
    return leader.attach(listener);
  }

  async describe(conversation: string): Promise<LeaderDescription> {
    const { tenure, head } = await this.leader(conversation);
    return { node: this.#options.node, home: tenure.claim.region, epoch: tenure.epoch, head };
  }

  /**
   * The conversation's leader here; opens it if it is ours, up to `known` at least. Throws NOT_LEADER, UNAVAILABLE, CORRUPT.
   */
  async leader(conversation: string, known?: Watermark): Promise<Leader> {
    for (;;) {
      const slot = this.#slots.get(conversation) ?? this.#open(conversation, known);
      if (slot.kind !== "closing") return slot.leader;
      await slot.done;
    }
  }

  /** The open ones, most recently used first. */
  led(): readonly Leader[] {
    const open = [...this.#slots.values()].flatMap((slot) => (slot.kind === "open" ? [slot.leader] : []));
    return open.sort((a, b) => b.lastUsedMs - a.lastUsedMs);
  }

  /** Gives the conversation to another region; answers the epoch it got. What waits is to be sent again there. */
  async move(conversation: string, region: string): Promise<bigint> {
    const leader = await this.leader(conversation);
    const result = await this.#close(conversation, leader, async () => {
      if (!(await this.#drain(leader))) return { kind: "not sent: it could not be drained" } as const;
      await leader.saveHead();
      const moved = await leader.tenure.move(region, { nothingInFlight: true });
      if (moved.kind === "moved") this.#ledger.strike(leader.tenure);
      return moved;
    });
    if (result.kind === "moved") return result.epoch;
    throw new MeridianError(
      "UNAVAILABLE",
      `moving ${JSON.stringify(conversation)} to ${region} did not succeed (${result.kind})`,
      {
        advice: "Locate the conversation to see who leads it now, then try again.",
      },
    );
  }

  /** R6: a gateway has verified more than this leader found. It is let go, and the next opening looks for the rest. */
  #behind(leader: Leader, known: Watermark): MeridianError {
    const { conversation } = leader.tenure;
    this.#options.telemetry.log("error", "leader.behind", { conversation, seq: leader.head.seq, known: known.seq });
    const error = new MeridianError(
      "UNAVAILABLE",
      `the leader of ${JSON.stringify(conversation)} is behind what a reader has seen`,
    );
    leader.letGo(error);
    this.#forget(leader);
    return error;
  }

  /** Who asked for it waits for the same promise as those who come meanwhile: they go on in the order in which they came. */
  #open(conversation: string, known: Watermark | undefined): Slot {
    const leader = this.#openUnderTenure(conversation, known);
    leader.catch(() => this.#slots.delete(conversation));
    const slot: Slot = { kind: "opening", leader };
    this.#slots.set(conversation, slot);
    return slot;
  }

  async #openUnderTenure(conversation: string, known: Watermark | undefined): Promise<Leader> {
    const { telemetry, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const opened = await this.#opener.open(await this.#options.membership.tenure(conversation), known);
    const leader = this.#lead(opened);
    const { epoch } = leader.tenure;
    const tookMs = clock.monotonicMs() - startedMs;
    telemetry.log("debug", "leader.opened", { conversation, epoch, seq: leader.head.seq, tookMs });
    telemetry.count("leader.opened");
    return leader;
  }

  /** No await between the last look and this: a claim lost in between would not find the leader. */
  #lead({ tenure, opening, wroteNothing }: Opened): Leader {
    const leader = new Leader({ ...this.#options, tenure, opening, onGone: (gone) => this.#forget(gone) });
    this.#slots.set(tenure.conversation, { kind: "open", leader, wroteNothing });
    if (!tenure.look()) {
      leader.letGo(lostError(tenure.conversation));
      throw lostError(tenure.conversation);
    }
    return leader;
  }

  #forget(leader: Leader): void {
    const slot = this.#slots.get(leader.tenure.conversation);
    if (slot !== undefined && slot.kind !== "opening" && slot.leader === leader) this.#slots.delete(leader.tenure.conversation);
  }

  #claimLost(claim: Claim): void {
    this.#ledger.forget(claim);
    for (const slot of [...this.#slots.values()]) {
      if (slot.kind === "opening" || slot.leader.tenure.claim !== claim) continue;
      slot.leader.letGo(lostError(slot.leader.tenure.conversation));
      this.#forget(slot.leader);
    }
  }

  /** Everything under the claim is put aside, or let go where that takes too long: the next owner has a new epoch anyway. */
  async #drainClaim(claim: Claim): Promise<"drained"> {
    const isBelow = (conversation: string) => this.#options.membership.locate(conversation).shard === claim.shard;
    const openings = [...this.#slots].flatMap(([conversation, slot]) =>
      slot.kind === "opening" && isBelow(conversation) ? [slot.leader] : [],
    );
    await Promise.allSettled(openings);
    const mine = [...this.#slots.values()].filter((slot) => slot.kind === "open" && slot.leader.tenure.claim === claim);
    await Promise.all(mine.map((slot) => slot.kind === "open" && this.#putAside(slot)));
    return "drained";
  }

  async #sweep(): Promise<void> {
    const now = this.#options.clock.monotonicMs();
    const open = [...this.#slots.values()].filter((slot) => slot.kind === "open");
    open.sort((a, b) => a.leader.lastUsedMs - b.leader.lastUsedMs);
    let surplus = open.length - LIMITS.openConversations;
    for (const slot of open) {
      const { leader } = slot;
      const idle = now - leader.lastUsedMs >= LIMITS.idleMs;
      // The one before took its time: this one may be in use again, or be led by another object.
      const present = this.#slots.get(leader.tenure.conversation) === slot;
      if (!present || !leader.quiet || !(idle || surplus > 0)) continue;
      surplus -= 1;
      await this.#putAside(slot).catch((error: unknown) => this.#report("putting a conversation aside", error));
    }
  }

  /** R8: nothing in flight, the exact head in a committed checkpoint of this epoch, and the look. Else it stays in the ledger. */
  async #putAside({ leader, wroteNothing }: Extract<Slot, { kind: "open" }>): Promise<void> {
    await this.#close(leader.tenure.conversation, leader, async () => {
      const drained = await this.#drain(leader);
      const untouched = wroteNothing && leader.wroteNothing;
      if (!drained) return;
      if (untouched || (await leader.saveHead())) this.#ledger.strike(leader.tenure);
    });
  }

  /** False: something is still on its way after the deadline. */
  #drain(leader: Leader): Promise<boolean> {
    return withDeadline(this.#options.clock, DRAIN_MS, "draining a leader", leader.drained()).then(
      () => true,
      (error: unknown) => {
        const { conversation } = leader.tenure;
        this.#options.telemetry.log("warn", "leader.drain-slow", { conversation, error: String(error) });
        return false;
      },
    );
  }

  #report(what: string, thrown: unknown): void {
    const { message, stack } = MeridianError.from(thrown);
    this.#options.telemetry.log("error", "sequencer.background", { what, error: message, stack });
  }

  /** Seals the leader, does the work, lets it go; who asks for the conversation meanwhile waits and then opens it anew. */
  async #close<T>(conversation: string, leader: Leader, work: () => Promise<T>): Promise<T> {
    const slot = this.#slots.get(conversation);
    if (slot?.kind !== "open" || slot.leader !== leader) throw lostError(conversation);
    leader.seal();
    const result = work();
    const done = result.then(
      () => {},
      () => {},
    );
    const closed = done.then(() => {
      leader.letGo(lostError(conversation));
      this.#forget(leader);
    });
    this.#slots.set(conversation, { kind: "closing", leader, done: closed });
    await closed;
    return result;
  }
}

function lostError(conversation: string): MeridianError {
  return new MeridianError("UNAVAILABLE", `${JSON.stringify(conversation)} is led by another leader from now on`, {
    retry: "elsewhere",
  });
}
