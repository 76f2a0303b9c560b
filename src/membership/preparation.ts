import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { Slots } from "../kernel/slots.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { LogStore } from "../ports/log-store.ts";
import { rewound } from "./calls.ts";
import type { HeldClaim } from "./claim.ts";
import type { Ground } from "./home-key.ts";
import type { HomeNews } from "./homes.ts";
import { keys, parseKey } from "./keys.ts";
import { list } from "./listing.ts";
import type { ShardKeys } from "./shard-key.ts";

const REPEAT = { firstMs: 50, maxMs: 2_000 };

export interface PreparationOptions {
  readonly ground: Ground;
  readonly shardKeys: ShardKeys;
  readonly store: Pick<LogStore, "loadEpochMark" | "raiseEpochMark">;
  readonly callDeadlineMs: number;
  /** Events before this revision may have been missed: lists must not be older. */
  readonly viewedAt: () => number;
  /** The coordinator was rewound: this node may lead nothing. */
  readonly refuse: (error: MeridianError) => void;
}

/**
 * What must be done under a claim before anything is opened under it. Its epoch must stand above the mark that the log
 * store keeps for the shard's number, and become the mark: so a coordinator that was restored from a backup, and gives out
 * old revisions again, is noticed before it harms. And the shard's home keys must be known.
 */
export class Preparation {
  readonly #options: PreparationOptions;
  readonly #slots = new Slots(LIMITS.preparationsAtOnce);
  /** Marks that were read before a shard key was put to itself, for the claim that comes of it. */
  readonly #marksRead = new Map<string, bigint>();

  constructor(options: PreparationOptions) {
    this.#options = options;
  }

  /** The lease is dead: its claims' marks are of no use to the next. */
  end(): void {
    this.#marksRead.clear();
  }

  /** Ends when the claim is ready or gone. */
  prepare(claim: HeldClaim): Promise<void> {
    const markRead = this.#marksRead.get(claim.key);
    this.#marksRead.delete(claim.key);
    return this.#slots.run(() => this.#prepare(claim, markRead), claim);
  }

  /** Somebody waits for one of its conversations: it waits for no other claim any more. */
  hurry(claim: HeldClaim): void {
    this.#slots.hurry(claim);
  }

  /** The home keys again: events up to `revision` may have been missed. Meanwhile the claim goes on with what it knows. */
  listAgain(claim: HeldClaim, revision: number): Promise<void> {
    return this.#slots.run(async () => {
      for (let tries = 0; claim.held && (claim.listedAt ?? revision) < revision; tries += 1) {
        await this.#listHomes(claim);
        if (claim.held && (claim.listedAt ?? -1) < this.#options.viewedAt()) await this.#pause(tries);
      }
    });
  }

  async #prepare(claim: HeldClaim, markRead: bigint | undefined): Promise<void> {
    let marked = false;
    for (let tries = 0; claim.held; tries += 1) {
      // Beside each other: both take round trips, and nothing is led meanwhile.
      const marking: Promise<boolean> = marked ? Promise.resolve(true) : this.#mark(claim, markRead);
      [marked] = await Promise.all([marking, this.#listHomes(claim)]);
      if (marked && claim.held && (claim.listedAt ?? -1) >= this.#options.viewedAt()) return claim.makeReady();
      if (claim.held) await this.#pause(tries);
    }
  }

  /** The mark is read once more only if the claim is new by itself: a put to itself answers to the mark that made us put. */
  async #mark(claim: HeldClaim, markRead: bigint | undefined): Promise<boolean> {
    const { store, refuse, telemetry } = { ...this.#options, ...this.#options.ground };
    const epoch = claim.epoch(0);
    try {
      const mark = markRead ?? (await this.#bounded("reading the epoch mark", store.loadEpochMark(claim.shard)));
      if (!claim.held) return false;
      if (epoch > mark) {
        await this.#bounded("raising the epoch mark", store.raiseEpochMark(claim.shard, epoch));
        return true;
      }
      if (markRead !== undefined)
        refuse(rewound(`shard ${claim.shard} was led under epoch ${mark}, and a new claim gets ${epoch}`));
      else await this.#putToItself(claim, mark);
    } catch (thrown) {
      const { code, message } = MeridianError.from(thrown);
      telemetry.log(code === "UNAVAILABLE" ? "warn" : "error", "claim.mark-failed", { key: claim.key, code, message });
    }
    return false;
  }

  /** Repeated after an unknown outcome: then it is the guard that tells that one of the puts has landed. */
  async #putToItself(claim: HeldClaim, mark: bigint): Promise<void> {
    for (let tries = 0; claim.open; tries += 1) {
      this.#marksRead.set(claim.key, mark);
      const outcome = await this.#options.shardKeys.putToItself(claim);
      if (outcome === "applied" || outcome === "refused") break;
      await this.#pause(tries);
    }
    this.#marksRead.delete(claim.key);
  }

  async #listHomes(claim: HeldClaim): Promise<void> {
    const { calls, news, homes } = this.#options.ground;
    const { region, shard } = claim;
    const listing = await list(calls, { prefix: keys.homes(region, shard), guard: claim.guard });
    if (listing.status === "guard-failed") {
      const { guarded, revision } = listing;
      news.learn({ key: claim.key, kv: guarded, age: guarded?.modRevision ?? revision });
    }
    if (listing.status !== "listed" || !claim.held) return;
    const all = new Map<string, HomeNews>();
    for (const kv of listing.kvs) {
      const name = parseKey(kv.key);
      if (name?.kind === "home") all.set(name.conversation, news.homeNews(name, kv, kv.modRevision));
    }
    homes.listed(region, shard, all, listing.revision);
    claim.listedAt = listing.revision;
  }

  #bounded<T>(what: string, work: Promise<T>): Promise<T> {
    return withDeadline(this.#options.ground.clock, this.#options.callDeadlineMs, what, work);
  }

  #pause(tries: number): Promise<void> {
    const { clock, random } = this.#options.ground;
    return sleep(clock, backoffMs(tries, REPEAT, random.u32()));
  }
}
