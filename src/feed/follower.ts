/**
 * One conversation, followed by this node for all of its readers.
 *
 * The follower knows two things: the *head*, up to which the conversation is committed, and a ring of the batches just below it.
 * It keeps no list of what each reader still needs: readers pull, from the ring or from the log. So a reader that registers
 * before it looks at the head misses nothing, and a slow one costs nothing.
 *
 * What a leader tells is checked, since the follower is where two histories of one conversation would meet: after a change of
 * leaders, the new one's head and batches must go through the head that the old one had announced. A feed that skips
 * or repeats batches is only broken: it is attached again. A chain with another hash at a seq that is known is a *fork*,
 * which must never exist: then nothing is delivered any more, and an operator must look.
 *
 * A feed may begin below the head (its leader is a late one, or a deposed one that does not know it yet). The head stays
 * where it is: what was committed stays committed. The feed's own place is kept apart, in the link.
 */
import { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { Deferred } from "../kernel/deferred.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep, withDeadline } from "../kernel/timing.ts";
import type { Batch, Watermark } from "../log/batch.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Attachment, FeedListener, Leaders } from "../routing/leaders.ts";
import { RecentBatches, type RecentMemory } from "./recent.ts";

/** The first try after a feed's end comes almost at once: a new leader is often there already. */
const ATTACH_AGAIN = { firstMs: 20, maxMs: 2_000 };

export interface FollowerOptions {
  readonly conversation: string;
  readonly leaders: Leaders;
  readonly memory: RecentMemory;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

export class Follower {
  readonly conversation: string;
  readonly #options: FollowerOptions;
  readonly #recent: RecentBatches;
  readonly #background: Background;
  readonly #watchers = new Set<() => void>();
  #started = new Deferred<Watermark>();
  #head: Watermark | undefined;
  #fork: MeridianError | undefined;
  #link: Link | undefined;

  constructor(options: FollowerOptions) {
    this.conversation = options.conversation;
    this.#options = options;
    this.#recent = new RecentBatches(options.memory);
    this.#background = new Background((what, error) => {
      options.telemetry.log("error", "feed.failed", { what, conversation: this.conversation, error: error.message });
    });
    this.#background.run("following", (signal) => this.#follow(signal));
  }

  /** Up to here the conversation is committed; undefined until a leader has said so. Only grows. */
  get head(): Watermark | undefined {
    return this.#head;
  }

  get forked(): boolean {
    return this.#fork !== undefined;
  }

  /** Throws CORRUPT once two histories of the conversation were seen: nothing may be delivered any more. */
  check(): void {
    if (this.#fork !== undefined) throw this.#fork;
  }

  /** The head, as soon as there is one. Throws UNAVAILABLE after 10 s, or the leader's error if retrying cannot help. */
  async ready(signal?: AbortSignal): Promise<Watermark> {
    this.check();
    if (this.#head !== undefined) return this.#head;
    const what = `finding the head of ${JSON.stringify(this.conversation)}`;
    const first = await withDeadline(this.#options.clock, LIMITS.callDeadlineMs, what, this.#started.promise, signal);
    return this.#head ?? first;
  }

  /** `wake` is called whenever the head has grown or nothing will come any more. It must not throw. The answer ends that. */
  watch(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }

  /** The batches from the one that holds `seq` on, if it is still held in memory: at least one, else up to `limitBytes`. */
  recent(seq: number, limitBytes: number): readonly Batch[] | undefined {
    return this.#recent.from(seq, limitBytes);
  }

  /** Two histories were seen: stops all delivery of the conversation at this node. */
  condemn(seq: number, why: string): MeridianError {
    if (this.#fork !== undefined) return this.#fork;
    const name = JSON.stringify(this.conversation);
    this.#fork = new MeridianError("CORRUPT", `two histories of ${name} were seen at seq ${seq}: ${why}`, {
      details: { conversation: this.conversation, seq: String(seq) },
    });
    this.#options.telemetry.log("error", "feed.fork", { conversation: this.conversation, seq, why });
    this.#options.telemetry.count("feed.forks");
    this.#recent.clear();
    this.#link?.end(this.#fork);
    this.#started.reject(this.#fork);
    this.#wake();
    return this.#fork;
  }

  async close(): Promise<void> {
    const closed = new MeridianError("UNAVAILABLE", `${JSON.stringify(this.conversation)} is no longer followed here`);
    const stopped = this.#background.stop();
    this.#link?.end(closed);
    this.#started.reject(closed);
    this.#recent.clear();
    await stopped;
  }

  /** A leader's word: everything up to here is committed. */
  announce(head: Watermark): void {
    const mine = this.#head;
    if (mine !== undefined && head.seq <= mine.seq) {
      this.#compare(head);
      return;
    }
    // What was committed between the two heads was not seen here: it stands in the log.
    this.#recent.clear();
    this.#advance(head);
  }

  /** The next batch of a feed, which chains on to what that feed brought before. */
  committed(batch: Batch): void {
    const mine = this.#head;
    if (mine === undefined) return;
    this.#compare(batch.watermark);
    if (batch.lastSeq <= mine.seq) {
      this.#compare({ seq: batch.lastSeq, hash: batch.hash });
      return;
    }
    if (batch.firstSeq !== mine.seq + 1 || batch.prevHash !== mine.hash) {
      this.condemn(mine.seq, `the batch of seq ${batch.firstSeq} to ${batch.lastSeq} does not go through the known head`);
    }
    if (this.#fork !== undefined) return;
    this.#recent.push(batch);
    this.#advance({ seq: batch.lastSeq, hash: batch.hash });
  }

  #compare(watermark: Watermark): void {
    const mine = this.#head;
    const agrees = watermark.seq === mine?.seq ? watermark.hash === mine.hash : this.#recent.agrees(watermark);
    if (agrees === false) this.condemn(watermark.seq, "its chain hash differs from the one known here");
  }

  #advance(head: Watermark): void {
    this.#head = head;
    this.#started.resolve(head);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#watchers) wake();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, random, telemetry } = this.#options;
    for (let tries = 0; !signal.aborted && this.#fork === undefined; tries += 1) {
      const beganMs = clock.monotonicMs();
      const error = await this.#attach(signal);
      if (signal.aborted || this.#fork !== undefined) return;
      if (clock.monotonicMs() - beganMs > ATTACH_AGAIN.maxMs && this.#link?.attached === true) tries = 0;
      telemetry.count("feed.reattached");
      telemetry.log("debug", "feed.ended", { conversation: this.conversation, code: error.code, error: error.message });
      if (error.retry === "never" && this.#head === undefined) {
        this.#started.reject(error);
        this.#started = new Deferred();
      }
      await sleep(clock, backoffMs(tries, ATTACH_AGAIN, random.u32()), signal);
    }
  }

  /** Follows one leader until its feed is over; answers why it is. */
  async #attach(signal: AbortSignal): Promise<MeridianError> {
    const { clock, leaders } = this.#options;
    const link = new Link(this);
    this.#link = link;
    const what = `attaching to the leader of ${JSON.stringify(this.conversation)}`;
    const attaching = leaders.attach(this.conversation, link, this.#head);
    try {
      const attachment = await withDeadline(clock, LIMITS.callDeadlineMs, what, attaching, signal);
      link.begin(attachment.head);
      return await link.over;
    } catch (error) {
      const why = MeridianError.from(error);
      link.end(why);
      return why;
    } finally {
      detachLater(attaching);
    }
  }
}

/** A late answer of an attach that was given up must be let go as well; its failure was reported by whoever waited. */
function detachLater(attaching: Promise<Attachment>): void {
  attaching.then(
    (attachment) => attachment.detach(),
    () => {},
  );
}

/** One feed of one leader, from its attach to its end. What comes after the end is not heard. */
class Link implements FeedListener {
  readonly #follower: Follower;
  readonly #over = new Deferred<MeridianError>();
  #ended = false;
  #begun = false;
  /** How far this feed has come. */
  #at: Watermark | undefined;

  constructor(follower: Follower) {
    this.#follower = follower;
  }

  get over(): Promise<MeridianError> {
    return this.#over.promise;
  }

  get attached(): boolean {
    return this.#begun;
  }

  /** The attach has been answered. The feed's first batches may have come before the answer was seen. */
  begin(head: Watermark): void {
    this.#begun = true;
    if (this.#ended || this.#at !== undefined) return;
    this.#at = head;
    this.#follower.announce(head);
  }

  batch(batch: Batch): void {
    if (this.#ended) return;
    if (this.#at === undefined) {
      // A feed begins right above its head, so the first batch says where that is.
      this.#at = { seq: batch.firstSeq - 1, hash: batch.prevHash };
      this.#follower.announce(this.#at);
    }
    if (batch.firstSeq !== this.#at.seq + 1) {
      const { conversation } = this.#follower;
      const message = `the feed of ${JSON.stringify(conversation)} jumped from seq ${this.#at.seq} to ${batch.firstSeq}`;
      this.end(new MeridianError("UNAVAILABLE", message));
      return;
    }
    if (batch.prevHash !== this.#at.hash) {
      this.#follower.condemn(this.#at.seq, `the batch at seq ${batch.firstSeq} does not chain on to the one before`);
      return;
    }
    this.#at = { seq: batch.lastSeq, hash: batch.hash };
    this.#follower.committed(batch);
  }

  end(error: MeridianError): void {
    this.#ended = true;
    this.#over.resolve(error);
  }
}
