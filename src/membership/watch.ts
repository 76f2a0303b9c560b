import type { Background } from "../kernel/background.ts";
import { backoffMs } from "../kernel/backoff.ts";
import { MeridianError } from "../kernel/errors.ts";
import { sleep } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator, WatchAnswer } from "../ports/coordinator.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import type { Calls } from "./calls.ts";
import { keys } from "./keys.ts";
import { list } from "./listing.ts";
import type { News } from "./news.ts";

const REPEAT = { firstMs: 50, maxMs: 2_000 };

export interface WatchOptions {
  readonly calls: Calls;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly background: Background;
  readonly news: News;
  /** Nodes and shards were listed at this revision, and events up to it may have been missed. */
  readonly viewed: (revision: number) => void;
}

/**
 * Follows all of the cluster's keys: first a list of nodes and shards, then every change from there on. The cursor is the
 * revision of the last event that came, never a header's, and that revision is asked for again: its events may have been
 * cut in two, and old news is harmless. When the changes since are gone, everything is listed again.
 */
export class Watch {
  readonly #options: WatchOptions;
  /** The revision to watch from; undefined: list first. */
  #cursor: number | undefined;
  #open: AsyncIterator<WatchAnswer> | undefined;
  /** Ends the pause before the next try. */
  #wake: () => void = () => {};

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** What was seen so far is void: another cluster or incarnation, or the end. */
  restart(): void {
    this.#cursor = undefined;
    this.#leave();
  }

  /**
   * The way to the coordinator was lost and is there again. The watch may pause before its next try, or hang on the way
   * that was lost: it is begun again at once, where it was. Others give shards to this node from now on.
   */
  resume(): void {
    this.#leave();
    this.#wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    signal.addEventListener("abort", () => this.restart(), { once: true });
    for (let tries = 0; !signal.aborted; tries += 1) {
      const alarm = new AbortController();
      this.#wake = () => alarm.abort();
      signal.addEventListener("abort", this.#wake, { once: true });
      this.#cursor ??= await this.#view();
      if (this.#cursor !== undefined && !signal.aborted && (await this.#follow(this.#cursor))) tries = 0;
      await sleep(clock, backoffMs(tries, REPEAT, random.u32()), alarm.signal);
      signal.removeEventListener("abort", this.#wake);
      if (alarm.signal.aborted) tries = 0;
    }
  }

  /** Lists nodes and shards once more, beside the events: a watch that hangs silently does no harm for long. */
  async refresh(): Promise<number | undefined> {
    const { calls, news } = this.#options;
    const nodes = await list(calls, { prefix: keys.nodes });
    if (nodes.status !== "listed") return undefined;
    const { revision } = nodes;
    const shards = await list(calls, { prefix: keys.shards, revision });
    if (shards.status !== "listed") return undefined;
    news.listed(nodes.kvs, shards.kvs, revision);
    return revision;
  }

  async #view(): Promise<number | undefined> {
    const revision = await this.refresh();
    if (revision === undefined) return undefined;
    this.#options.viewed(revision);
    return revision + 1;
  }

  /** Answers whether anything came. */
  async #follow(from: number): Promise<boolean> {
    const { coordinator, telemetry } = this.#options;
    const answers = coordinator.watch(keys.prefix, from)[Symbol.asyncIterator]();
    this.#open = answers;
    let came = false;
    try {
      for (;;) {
        const step = await answers.next();
        // Left by `restart`, perhaps while an answer was on its way.
        if (step.done === true || this.#open !== answers) return came;
        if (!this.#take(step.value)) this.restart();
        came = true;
      }
    } catch (thrown) {
      const { code, message } = MeridianError.from(thrown);
      telemetry.log("warn", "watch.cut", { code, message, cursor: this.#cursor });
      telemetry.count("watch.cut");
      if (this.#open === answers) this.#open = undefined;
      if (code !== "UNAVAILABLE") this.#cursor = undefined;
      return came;
    }
  }

  #leave(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open?.return === undefined) return;
    this.#options.background.run("leaving a watch", async () => {
      await open.return?.();
    });
  }

  #take({ header, events }: WatchAnswer): boolean {
    if (!this.#options.calls.heard(header)) return false;
    for (const event of events) {
      this.#options.news.event(event);
      this.#cursor = event.type === "put" ? event.kv.modRevision : event.modRevision;
    }
    return true;
  }
}
