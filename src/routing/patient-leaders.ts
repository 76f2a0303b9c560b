/**
 * The leaders of all conversations, for callers that can wait while there is none.
 *
 * When a leader is lost, nobody leads its conversations for seconds, and then somebody does within milliseconds. If callers
 * were told at once, each client would try again at some moment of its own, with pauses that grow meanwhile: the longer the
 * outage, the later they notice its end. So the node that was asked tries again itself, in short pauses, and its callers
 * wait here: the end of an outage is noticed once a node, at once, and costs no frame to any client.
 *
 * All calls of a conversation share one pause and go on in the order in which they came; those that come during the pause
 * join it. So a producer's runs do not overtake each other. Only what is recognised when it comes twice is tried again.
 *
 * What a try throws says nothing of the tries before it, nor of the other parts of a large run. A caller that was told
 * "never again" would take that for "not accepted", while the message stands in the log: so that is never what it is told.
 */
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import type { Watermark } from "../log/batch.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Attachment, Fate, FeedListener, LeaderDescription, Leadership, SubmitRun } from "./leaders.ts";

const PAUSE = { firstMs: 20, maxMs: 100 };

export interface PatientLeadersOptions {
  readonly leaders: Leadership;
  readonly clock: Clock;
  readonly random: Random;
}

export class PatientLeaders implements Leadership {
  readonly #options: PatientLeadersOptions;
  /** By conversation, while calls wait for it. */
  readonly #pauses = new Map<string, Promise<void>>();

  constructor(options: PatientLeadersOptions) {
    this.#options = options;
  }

  async submit(run: SubmitRun): Promise<readonly Fate[]> {
    const { leaders } = this.#options;
    // Neither counter nor key: a second try might be accepted beside the first.
    const isRecognised = run.producer !== 0n || run.items.every(({ key }) => key.length > 0);
    try {
      return await (isRecognised ? this.#patiently(run.conversation, () => leaders.submit(run)) : leaders.submit(run));
    } catch (thrown) {
      throw noRefusal(MeridianError.from(thrown));
    }
  }

  attach(conversation: string, listener: FeedListener, known?: Watermark): Promise<Attachment> {
    return this.#patiently(conversation, () => this.#options.leaders.attach(conversation, listener, known));
  }

  describe(conversation: string): Promise<LeaderDescription> {
    return this.#patiently(conversation, () => this.#options.leaders.describe(conversation));
  }

  move(conversation: string, region: string): Promise<bigint> {
    return this.#options.leaders.move(conversation, region);
  }

  /** Without a pause nothing is awaited before the first try, so that calls leave in the order in which they came. */
  async #patiently<T>(conversation: string, ask: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + LIMITS.leaderWaitMs;
    for (let tries = 0; ; tries += 1) {
      const pause = this.#pauses.get(conversation);
      if (pause !== undefined) await pause;
      try {
        return await ask();
      } catch (thrown) {
        const error = MeridianError.from(thrown);
        const mayPass = error.code === "UNAVAILABLE" && error.retry !== "never";
        if (!mayPass || clock.monotonicMs() >= endMs) throw error;
        this.#pause(conversation, tries);
      }
    }
  }

  #pause(conversation: string, tries: number): void {
    if (this.#pauses.has(conversation)) return;
    const { clock, random } = this.#options;
    const pause = sleep(clock, backoffMs(tries, PAUSE, random.u32()));
    this.#pauses.set(conversation, pause);
    // The first to wait for it: the pause is over before anybody goes on, and may begin another.
    void pause.then(() => this.#pauses.delete(conversation));
  }
}

function noRefusal(error: MeridianError): MeridianError {
  if (error.retry !== "never") return error;
  const { message, advice, details } = error;
  return new MeridianError("UNAVAILABLE", message, { advice, details, cause: error });
}
