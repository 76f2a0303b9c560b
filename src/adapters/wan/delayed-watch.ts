import { invariant, MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { BoundedQueue } from "../../kernel/queue.ts";
import { sleep } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { WatchAnswer } from "../../ports/coordinator.ts";
import { COORDINATOR, type Links } from "./links.ts";

export interface DelayedWatchOptions {
  readonly region: string;
  readonly links: Links;
  readonly clock: Clock;
  /** Begins the watch at the coordinator. */
  readonly begin: () => AsyncIterator<WatchAnswer>;
  /** After which time a watch that could not even begin is given up. */
  readonly withinMs: number;
}

/**
 * A watch over the wide area. Its answers travel beside each other: each waits for its own arrival only, not for that of the
 * one before, or a far region would see one change per way. A cut breaks it at once, also while nothing is under way.
 */
export class DelayedWatch implements AsyncIterator<WatchAnswer, void, undefined> {
  readonly #options: DelayedWatchOptions;
  readonly #arrived = new BoundedQueue<WatchAnswer>(LIMITS.coordinatorWatchQueue);
  readonly #steps = this.#arrived[Symbol.asyncIterator]();
  readonly #unsubscribe: () => void;
  /** At the coordinator, once the request is there. */
  #inner: AsyncIterator<WatchAnswer> | undefined;
  #underWay = 0;
  #returned = false;
  readonly #over = new AbortController();

  constructor(options: DelayedWatchOptions) {
    this.#options = options;
    this.#unsubscribe = options.links.onChange(() => {
      if (!options.links.open(COORDINATOR, options.region)) void this.#end(cutOff(options.region));
    });
    this.#run().then(
      () => this.#end(),
      (error: unknown) => this.#end(MeridianError.from(error)),
    );
  }

  async next(): Promise<IteratorResult<WatchAnswer, void>> {
    return this.#returned ? { done: true, value: undefined } : this.#steps.next();
  }

  async return(): Promise<IteratorResult<WatchAnswer, void>> {
    this.#returned = true;
    await this.#end();
    return { done: true, value: undefined };
  }

  async #run(): Promise<void> {
    const { region, links, clock, begin, withinMs } = this.#options;
    if ((await links.pass(region, COORDINATOR)) === "cut") {
      await sleep(clock, withinMs, this.#over.signal);
      throw cutOff(region);
    }
    if (this.#over.signal.aborted) return;
    this.#inner = begin();
    try {
      await this.#follow(this.#inner);
    } catch (thrown) {
      // The end travels behind the answers that are under way.
      if ((await links.pass(COORDINATOR, region)) === "cut") throw cutOff(region);
      throw thrown;
    }
  }

  async #follow(inner: AsyncIterator<WatchAnswer>): Promise<void> {
    for (let step = await inner.next(); step.done !== true; step = await inner.next()) {
      if (this.#underWay + this.#arrived.size >= LIMITS.coordinatorWatchQueue) throw tooSlow();
      this.#underWay += 1;
      this.#send(step.value).catch((error: unknown) => this.#end(MeridianError.from(error)));
    }
  }

  async #send(answer: WatchAnswer): Promise<void> {
    const { region, links } = this.#options;
    const passed = await links.pass(COORDINATOR, region);
    this.#underWay -= 1;
    if (passed === "cut") throw cutOff(region);
    if (!this.#over.signal.aborted) invariant(this.#arrived.push(answer), "there is room for what is under way");
  }

  /** Never rejects: what goes wrong at the end is the end's error. */
  async #end(error?: MeridianError): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#unsubscribe();
    try {
      await this.#inner?.return?.();
      this.#arrived.close(error);
    } catch (thrown) {
      this.#arrived.close(MeridianError.from(thrown));
    }
  }
}

function cutOff(region: string): MeridianError {
  return new MeridianError("UNAVAILABLE", `the watch was cut: ${region} cannot reach the coordinator`);
}

function tooSlow(): MeridianError {
  return new MeridianError("TRUNCATED", `the watch's loop is ${LIMITS.coordinatorWatchQueue} changes behind`, {
    advice: "List the keys again and watch from the list's revision + 1.",
  });
}
