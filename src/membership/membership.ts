/**
 * Who may lead a conversation: this node's part in the cluster. A node joins (placement, lease, its node key), claims
 * shards, prepares each claim, and gives out tenures under it; when its lease dies, by whatever clock or answer, all of
 * that is gone in the same instant, and it joins anew.
 *
 * What keeps two nodes from leading one conversation is spread over this folder: a lease counts only as `lease.ts` says;
 * a claim is one revision of a shard key (`shards.ts`); an epoch is derived only from what a transaction guarded by the
 * claim has shown (`home-key.ts`); and what may still land late is settled by a put under the same guards (`tenure.ts`,
 * `handover.ts`). This file only puts them together.
 */
import { Background } from "../kernel/background.ts";
import { Deferred } from "../kernel/deferred.ts";
import { invariant, MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkName } from "../kernel/names.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator } from "../ports/coordinator.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { Calls } from "./calls.ts";
import type { Claim, HeldClaim } from "./claim.ts";
import { Handover } from "./handover.ts";
import type { Ground } from "./home-key.ts";
import { Homes } from "./homes.ts";
import { keys } from "./keys.ts";
import type { NodeLease } from "./lease.ts";
import { News } from "./news.ts";
import { type LiveNode, Nodes } from "./nodes.ts";
import { Preparation } from "./preparation.ts";
import { Rounds } from "./rounds.ts";
import { type MembershipState, type Session, Sessions } from "./sessions.ts";
import { ShardKeys } from "./shard-key.ts";
import { Shards } from "./shards.ts";
import type { Tenure } from "./tenure.ts";
import { type Location, Tenures } from "./tenures.ts";
import { Watch } from "./watch.ts";

export interface MembershipOptions {
  readonly coordinator: Coordinator;
  readonly store: Pick<LogStore, "loadEpochMark" | "raiseEpochMark">;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly region: string;
  /** Unique in its region, without slashes. */
  readonly node: string;
  /** Where other nodes reach this one, `host:port`. */
  readonly address: string;
  /** All regions of the cluster, this one included: the same for all nodes, for ever. */
  readonly regions: readonly string[];
  /** Shards a region: the same for all nodes, for ever. */
  readonly shards: number;
  readonly leaseTtlMs: number;
  readonly leaseRenewMs: number;
  /** Above the coordinator's election timeout. */
  readonly leaseMarginMs: number;
  /**
   * Default: two fifths of what is left of the TTL without the margin. A lost call does not cost the lease then, and neither
   * does a machine that is short of time: a renewal whose answers take as long as this both still counts.
   */
  readonly callDeadlineMs?: number;
}

/** The sequencer's side. */
export interface MembershipListener {
  /** The claim is gone: its leaders are to be let go at once, before this returns. */
  claimLost(claim: Claim): void;
  /** Everything led under the claim is to be put aside, because the shard is about to be another node's. */
  drainClaim(claim: Claim): Promise<"drained" | "failed">;
}

export type { MembershipState } from "./sessions.ts";

export class Membership {
  readonly #options: MembershipOptions;
  readonly #background: Background;
  readonly #sessions: Sessions;
  readonly #nodes = new Nodes();
  readonly #shards: Shards;
  readonly #homes: Homes;
  readonly #watch: Watch;
  readonly #shardKeys: ShardKeys;
  readonly #preparation: Preparation;
  readonly #handover: Handover;
  readonly #rounds: Rounds;
  readonly #tenures: Tenures;
  readonly #started = new Deferred<void>();
  #listener: MembershipListener | undefined;
  /** Of the present watch; 0: nothing was seen yet. */
  #viewedAt = 0;
  #firstRoundDone = false;
  #stopped: Promise<void> | undefined;
  /** Ends the pause between two rounds. */
  #wake: () => void = () => {};

  constructor(options: MembershipOptions) {
    const { coordinator, clock, random, telemetry, region, node, address, regions } = options;
    checkOptions(options);
    this.#options = options;
    const callDeadlineMs = options.callDeadlineMs ?? Math.ceil((options.leaseTtlMs - options.leaseMarginMs) * 0.4);
    this.#background = new Background((what, error) => {
      telemetry.log("error", "membership.background-failed", { what, code: error.code, message: error.message });
    });
    const calls = new Calls({ coordinator, clock, telemetry, deadlineMs: callDeadlineMs });
    const background = this.#background;
    this.#sessions = new Sessions({
      calls,
      background,
      clock,
      random,
      telemetry,
      placement: options,
      lease: { ttlMs: options.leaseTtlMs, renewMs: options.leaseRenewMs, marginMs: options.leaseMarginMs },
      eraBegan: () => this.#eraBegan(),
      began: (session) => this.#sessionBegan(session),
      ended: () => this.#sessionEnded(),
      refused: (error) => this.#started.reject(error),
    });
    this.#homes = new Homes(regions);
    this.#shards = new Shards({
      regions,
      count: options.shards,
      claimed: (claim) => this.#claimed(claim),
      lost: (claim) => this.#lost(claim),
      // A round is due now, not at its time: nobody leads what is in there.
      vacated: () => this.#wake(),
    });
    const news = new News({
      nodes: this.#nodes,
      shards: this.#shards,
      homes: this.#homes,
      telemetry,
      placementSeen: (age) => this.#sessions.sawPlacement(age),
    });
    const ground: Ground = { calls, news, homes: this.#homes, clock, random, telemetry, regions };
    this.#watch = new Watch({ ...ground, coordinator, background, viewed: (revision) => this.#viewed(revision) });
    this.#shardKeys = new ShardKeys({ calls, news, address });
    const shardKeys = this.#shardKeys;
    this.#preparation = new Preparation({
      ground,
      shardKeys,
      store: options.store,
      callDeadlineMs,
      viewedAt: () => this.#viewedAt,
      refuse: (error) => this.#sessions.refuse(error),
    });
    this.#handover = new Handover({ ground, shardKeys, drain: (claim) => this.#bound.drainClaim(claim) });
    const [shards, nodes, handover] = [this.#shards, this.#nodes, this.#handover];
    const patienceMs = options.leaseTtlMs;
    this.#rounds = new Rounds({ ground, background, shards, nodes, shardKeys, handover, region, node, patienceMs });
    this.#tenures = new Tenures({
      ground,
      shards,
      shardCount: options.shards,
      hurry: (claim) => this.#preparation.hurry(claim),
      address,
      obstacle: () => this.#obstacle(),
    });
  }

  /** Before `start`, once. */
  bind(listener: MembershipListener): void {
    invariant(this.#listener === undefined, "the membership has one listener");
    this.#listener = listener;
  }

  /**
   * Joins the cluster; resolves once the first round of claims is done and what it won is prepared. Throws INVALID_ARGUMENT
   * when the cluster was set up otherwise, CORRUPT when the coordinator cannot be trusted, UNAVAILABLE after a minute.
   */
  async start(): Promise<void> {
    invariant(this.#listener !== undefined, "the membership has a listener before it starts");
    const { clock, leaseTtlMs } = this.#options;
    this.#background.run("keeping a lease", (signal) => this.#sessions.run(signal));
    this.#background.run("watching", (signal) => this.#watch.run(signal));
    this.#background.run("rounds of claims", (signal) => this.#runRounds(signal));
    this.#background.run("refreshing the view", async (signal) => {
      for (;;) {
        await sleep(clock, leaseTtlMs, signal);
        if (signal.aborted) return;
        await this.#watch.refresh();
      }
    });
    try {
      await withDeadline(clock, LIMITS.joinMs, "joining the cluster", this.#started.promise);
    } catch (thrown) {
      const { state } = this;
      await this.stop();
      const error = MeridianError.from(thrown);
      if (error.code !== "UNAVAILABLE" || state.kind !== "joining") throw error;
      throw new MeridianError("UNAVAILABLE", `${error.message}: ${state.reason}`, { cause: error });
    }
  }

  /** Hands everything back: shards to other nodes where there are any, then the lease. Calls after the first wait for it. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  get state(): MembershipState {
    return this.#sessions.state;
  }

  /** What worker numbers stand on, too; undefined without a lease. */
  lease(): NodeLease | undefined {
    return this.#sessions.present?.lease;
  }

  /** Milliseconds until this node's lease deadline; 0 without a lease. */
  leaseLeftMs(): number {
    return this.#sessions.present?.lease.leftMs() ?? 0;
  }

  /** `<region>/<number>` of the shards whose conversations may be opened here now. */
  shards(): readonly string[] {
    return this.#shards.claims().flatMap((claim) => (claim.ready ? [`${claim.region}/${claim.shard}`] : []));
  }

  /**
   * The right to lead this conversation now; it ends the one that was given out before. Throws NOT_LEADER with
   * `details.home` and, where known, `details.leader`; UNAVAILABLE when the shard is prepared or handed over for long, or
   * there is no lease; CORRUPT for an unreadable home key.
   */
  tenure(conversation: string): Promise<Tenure> {
    return this.#tenures.tenure(conversation);
  }

  /** Who leads the conversation, as far as this node knows: perhaps not any more. */
  locate(conversation: string): Location {
    return this.#tenures.locate(conversation);
  }

  /** The nodes of the cluster with their addresses, this one included, as far as this node knows. */
  nodes(): readonly LiveNode[] {
    return this.#nodes.all();
  }

  /** `changed` is called whenever `nodes()` may have changed; it must not throw. The answer ends that. */
  watchNodes(changed: () => void): () => void {
    return this.#nodes.watch(changed);
  }

  get #bound(): MembershipListener {
    invariant(this.#listener !== undefined, "the membership has a listener");
    return this.#listener;
  }

  async #stop(): Promise<void> {
    this.#sessions.leave();
    const session = this.#sessions.present;
    if (session !== undefined) await this.#leave(session);
    this.#sessions.end();
    this.#watch.restart();
    await this.#background.stop();
  }

  #obstacle(): string | undefined {
    // A node that is leaving leads what it has not handed over yet.
    return this.#sessions.present === undefined ? "this node has no lease" : undefined;
  }

  #eraBegan(): void {
    this.#viewedAt = 0;
    this.#nodes.forget();
    this.#shards.forget();
    this.#homes.forget();
    this.#watch.restart();
  }

  #sessionBegan({ lease, placement }: Session): void {
    this.#shards.begin(lease, placement.incarnation);
    this.#watch.resume();
    this.#wake();
  }

  #sessionEnded(): void {
    this.#preparation.end();
    this.#shards.end();
  }

  async #runRounds(signal: AbortSignal): Promise<void> {
    const { clock, leaseRenewMs } = this.#options;
    while (!signal.aborted) {
      // Before the round: what happens during it makes the next one due.
      const alarm = new AbortController();
      this.#wake = () => alarm.abort();
      signal.addEventListener("abort", this.#wake, { once: true });
      const session = this.#sessions.present;
      if (session !== undefined && this.#viewedAt > 0 && this.state.kind !== "left") {
        await this.#rounds.run(session);
        if (session === this.#sessions.present) this.#roundDone();
      }
      await sleep(clock, leaseRenewMs, alarm.signal);
      signal.removeEventListener("abort", this.#wake);
    }
  }

  #roundDone(): void {
    if (this.#firstRoundDone) return;
    this.#firstRoundDone = true;
    const won = this.#shards.claims().map((claim) => claim.prepared.promise);
    this.#background.run("waiting for the first claims", async () => {
      await Promise.all(won);
      this.#started.resolve();
    });
  }

  #viewed(revision: number): void {
    this.#viewedAt = revision;
    for (const claim of this.#shards.claims()) {
      this.#background.run("listing homes again", () => this.#preparation.listAgain(claim, revision));
    }
    this.#wake();
  }

  #claimed(claim: HeldClaim): void {
    const { key, modRevision } = claim;
    this.#options.telemetry.log("info", "claim.taken", { key, modRevision });
    this.#options.telemetry.count("claim.taken");
    this.#homes.keep(claim.region, claim.shard);
    this.#background.run("preparing a claim", () => this.#preparation.prepare(claim));
  }

  #lost(claim: HeldClaim): void {
    const { key, modRevision } = claim;
    this.#options.telemetry.log("info", "claim.lost", { key, modRevision });
    this.#options.telemetry.count("claim.lost");
    this.#homes.release(claim.region, claim.shard);
    this.#bound.claimLost(claim);
  }

  /** Others must not count this node among the live ones any more: first its node key goes, then its shards. */
  async #leave(session: Session): Promise<void> {
    const { region, node } = this.#options;
    const own = this.#nodes.get(region, node);
    if (own?.lease === session.lease.id)
      await this.#shardKeys.remove({ key: keys.node(region, node), modRevision: own.modRevision });
    this.#nodes.exclude(region, node);
    const claims = this.#shards.claims();
    const leave = (claim: HeldClaim) => this.#handover.leave(claim, this.#nodes.choose(claim.region, claim.shard));
    // Those where conversations are led, and only then the many others: somebody waits for the first, and the new owners
    // would be busy with all of them at once.
    await Promise.all(claims.filter(({ inUse }) => inUse).map(leave));
    await Promise.all(claims.filter(({ handedOver }) => !handedOver).map(leave));
  }
}

function checkOptions(options: MembershipOptions): void {
  const { region, node, regions, shards, leaseTtlMs, leaseRenewMs, leaseMarginMs } = options;
  for (const name of [node, ...regions]) {
    checkName("a region's or node's name", name, LIMITS.conversationBytes);
    if (name.includes("/")) throw invalid(`the name ${JSON.stringify(name)} of a region or node must not hold a slash`);
  }
  if (new Set(regions).size !== regions.length) throw invalid(`the regions must differ: ${regions.join(", ")}`);
  if (!regions.includes(region)) throw invalid(`the node's region ${region} is not among the cluster's: ${regions.join(", ")}`);
  if (!Number.isSafeInteger(shards) || shards < 1)
    throw invalid(`a region needs a whole number of shards above 0, not ${shards}`);
  const fits = leaseMarginMs >= 0 && leaseRenewMs > 0 && leaseRenewMs * 3 <= leaseTtlMs - leaseMarginMs;
  if (!fits) throw invalid("three renewals must fit into the lease's TTL without its margin");
}

function invalid(message: string): MeridianError {
  return new MeridianError("INVALID_ARGUMENT", message);
}
