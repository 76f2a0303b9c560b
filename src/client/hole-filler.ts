import type { Fetched } from "../gen/meridian/v1/client_pb.ts";
import type { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Session } from "./session.ts";

/** What is to be asked of whom. */
export interface Question {
  readonly session: Session;
  readonly fromSeq: number;
  readonly toSeq: number;
}

export interface HoleFillerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly background: Background;
  readonly conversation: string;
  /** The hole to fill now; undefined if there is none, no session, or no room for what would come. */
  readonly question: () => Question | undefined;
  /** Takes an answer in. False: it has brought nothing. Throws the answer's error. */
  readonly take: (answer: Fetched["answer"]) => boolean;
  /** An error that asking again does not mend. */
  readonly onFailed: (error: MeridianError) => void;
}

const PAUSE = { firstMs: 100, maxMs: 5_000 };

/**
 * Fetches what is missing before something that has come already. Live traffic gets a moment to fill the hole by itself.
 * Asking always ends: each answer either shortens the hole, or ends the asking until something new has come, or costs a
 * pause; and of the same hole nothing is asked twice at a time.
 */
export class HoleFiller {
  readonly #options: HoleFillerOptions;
  #isFilling = false;
  /** The last answer has brought nothing: until something new comes, the next one would not either. */
  #isIdle = false;
  #news = 0;

  constructor(options: HoleFillerOptions) {
    this.#options = options;
  }

  /** Something new has come: a node may know more now. */
  awaken(): void {
    this.#news += 1;
    this.#isIdle = false;
    this.look();
  }

  look(): void {
    const { background, clock, question } = this.#options;
    if (this.#isFilling || this.#isIdle || question() === undefined) return;
    this.#isFilling = true;
    background.run("filling a hole", async (signal) => {
      try {
        await sleep(clock, LIMITS.holeWaitMs, signal);
        await this.#fill(signal);
      } finally {
        this.#isFilling = false;
      }
    });
  }

  async #fill(signal: AbortSignal): Promise<void> {
    const { clock, random, conversation, question, take, onFailed } = this.#options;
    let failures = 0;
    for (let asked = question(); asked !== undefined && !signal.aborted; asked = question()) {
      const news = this.#news;
      try {
        const answer = await asked.session.fetch(conversation, asked.fromSeq, asked.toSeq);
        if (asked.session.isOver || signal.aborted) continue;
        // What came while the answer was under way may be news that the answer did not know.
        this.#isIdle = !take(answer) && this.#news === news;
        if (this.#isIdle) return;
        failures = 0;
      } catch (thrown) {
        const error = MeridianError.from(thrown);
        if (asked.session.isOver) continue;
        if (error.retry === "never") return onFailed(error);
        await sleep(clock, backoffMs(failures, PAUSE, random.u32()), signal);
        failures += 1;
      }
    }
  }
}
