import { Background } from "../kernel/background.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Leaders } from "../routing/leaders.ts";
import { Follower } from "./follower.ts";
import { RecentMemory } from "./recent.ts";

export interface FollowersOptions {
  readonly leaders: Leaders;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** A reader's hold on a follower. */
export interface Followed {
  readonly follower: Follower;
  /** A second call does nothing. */
  release(): void;
}

interface Entry {
  readonly follower: Follower;
  readers: number;
  cancelLinger: () => void;
}

/**
 * The conversations that this node follows: each once, however many read it. A follower comes with its first reader and
 * stays a little beyond its last. One that has seen a fork stays, so that no later reader starts on the other history.
 */
export class Followers {
  readonly #options: FollowersOptions;
  readonly #memory = new RecentMemory();
  readonly #entries = new Map<string, Entry>();
  /** Followers without readers, the longest unread first. */
  readonly #lingering = new Set<Entry>();
  readonly #background: Background;
  #closed = false;

  constructor(options: FollowersOptions) {
    this.#options = options;
    this.#background = new Background((what, error) => {
      options.telemetry.log("error", "feed.failed", { what, error: error.message });
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Throws UNAVAILABLE after `close`. */
  follow(conversation: string): Followed {
    if (this.#closed) throw new MeridianError("UNAVAILABLE", "this node is shutting down", { retry: "elsewhere" });
    const entry = this.#entries.get(conversation) ?? this.#begin(conversation);
    entry.readers += 1;
    entry.cancelLinger();
    this.#lingering.delete(entry);
    let held = true;
    return {
      follower: entry.follower,
      release: () => {
        if (held) this.#release(entry);
        held = false;
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const entry of [...this.#entries.values()]) this.#drop(entry);
    await this.#background.stop();
  }

  #begin(conversation: string): Entry {
    const follower = new Follower({ ...this.#options, conversation, memory: this.#memory });
    const entry = { follower, readers: 0, cancelLinger: () => {} };
    this.#entries.set(conversation, entry);
    return entry;
  }

  #release(entry: Entry): void {
    entry.readers -= 1;
    if (entry.readers > 0 || this.#closed) return;
    this.#lingering.add(entry);
    entry.cancelLinger = this.#options.clock.after(LIMITS.followerLingerMs, () => {
      if (!entry.follower.forked) this.#drop(entry);
    });
    for (const longest of this.#lingering) {
      if (this.#lingering.size <= LIMITS.followersLingering) return;
      this.#drop(longest);
    }
  }

  #drop(entry: Entry): void {
    entry.cancelLinger();
    this.#lingering.delete(entry);
    this.#entries.delete(entry.follower.conversation);
    this.#background.run("closing a follower", () => entry.follower.close());
  }
}
