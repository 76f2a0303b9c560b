/**
 * Brings every replica what it lacks and another has.
 *
 * A replica lacks writes because its region was lost, because a way to it was cut for a moment, because its disk was slow,
 * or because the process was killed between two fsyncs. Tempting: to note what was missed and to deliver just that, as
 * Cassandra's hints do. But the notes are lost with the process, and a long fault makes them as large as the log. So nothing
 * is noted but *that* something may lack, for a pair of replicas: then the whole of them is compared by its keys, which are a
 * thousandth of the log, and the difference is copied. All pairs are compared at the start; those whose way was cut, when
 * it is restored; those of a replica that missed a write, soon after.
 *
 * What is spread may be a dead leader's row that only one replica ever had. That is no harm: it is a late write, which
 * recovery is made for (R6).
 */
import { Background } from "../../kernel/background.ts";
import { backoffMs } from "../../kernel/backoff.ts";
import { Deferred } from "../../kernel/deferred.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep, withDeadline } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { HealWalk, type Reach } from "./heal-walk.ts";
import type { Links } from "./links.ts";
import type { Replica } from "./replica.ts";

/** After a walk that failed. */
const REPEAT = { firstMs: 500, maxMs: 10_000 };

export interface HealerOptions {
  /** One for each region. */
  readonly replicas: ReadonlyMap<string, Replica>;
  readonly links: Links;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** One replica is to be brought what another has. */
interface Pair {
  readonly target: string;
  readonly source: string;
  /** The way was open when it was last looked at. */
  open: boolean;
  /** Something may lack since the last walk began. */
  due: boolean;
  walking: boolean;
}

export class Healer {
  readonly #options: HealerOptions;
  readonly #pairs: readonly Pair[];
  readonly #background: Background;
  #unsubscribe: (() => void) | undefined;
  #wake = new Deferred<void>();

  constructor(options: HealerOptions) {
    this.#options = options;
    const regions = [...options.replicas.keys()];
    this.#pairs = regions.flatMap((target) => {
      const distance = (source: string) => options.links.oneWayMs(target, source);
      // The nearest first: what it gives need not be fetched from afar.
      const sources = regions.filter((region) => region !== target).sort((a, b) => distance(a) - distance(b));
      return sources.map((source) => ({ target, source, open: true, due: true, walking: false }));
    });
    this.#background = new Background((what, { code, message }) =>
      options.telemetry.log("error", "wan.healer-failed", { what, code, message }),
    );
  }

  start(): void {
    this.#unsubscribe = this.#options.links.onChange(() => this.#look());
    this.#look();
    this.#background.run("healing replicas", (signal) => this.#run(signal));
  }

  /** The region's replica has missed a write that another has. */
  request(region: string): void {
    for (const pair of this.#pairs) if (pair.target === region) pair.due = true;
    this.#wake.resolve();
  }

  /** The regions whose replicas may lack something. */
  behind(): readonly string[] {
    return [...this.#options.replicas.keys()].filter((region) =>
      this.#pairs.some(({ target, due, walking }) => target === region && (due || walking)),
    );
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#wake.resolve();
    await this.#background.stop();
  }

  #look(): void {
    for (const pair of this.#pairs) {
      const open = this.#options.links.open(pair.target, pair.source);
      // Due from the cut on, and not only from its end: `behind` is asked meanwhile.
      if (open !== pair.open) pair.due = true;
      pair.open = open;
    }
    this.#wake.resolve();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      if (!this.#pairs.some(({ due, open }) => due && open)) {
        await this.#wake.promise;
        this.#wake = new Deferred();
        continue;
      }
      const pauseMs = failures === 0 ? 0 : backoffMs(failures - 1, REPEAT, random.u32());
      await sleep(clock, LIMITS.healPauseMs + pauseMs, signal);
      failures = (await this.#heal(signal)) ? 0 : failures + 1;
    }
  }

  /** One walk for each pair that is due, those of one target one after the other. Answers whether none failed. */
  async #heal(signal: AbortSignal): Promise<boolean> {
    const targets = new Set(this.#pairs.map(({ target }) => target));
    const all = await Promise.all([...targets].map((target) => this.#healTarget(target, signal)));
    return !all.includes(false);
  }

  async #healTarget(region: string, signal: AbortSignal): Promise<boolean> {
    let well = true;
    for (const pair of this.#pairs) {
      if (pair.target !== region || !pair.due || !pair.open || signal.aborted) continue;
      // What is missed from now on is the next walk's.
      pair.due = false;
      pair.walking = true;
      const done = await this.#walk(pair, signal);
      pair.walking = false;
      pair.due ||= !done;
      well &&= done;
    }
    return well;
  }

  async #walk({ target, source }: Pair, signal: AbortSignal): Promise<boolean> {
    const { clock, telemetry } = this.#options;
    const startMs = clock.monotonicMs();
    try {
      const walk = new HealWalk({
        from: this.#reach(target, source, signal),
        to: this.#reach(target, target, signal),
        rowsCopied: (rows) => telemetry.count("wan.healed-rows", rows),
      });
      const { rows, checkpoints } = await walk.run();
      const level = rows + checkpoints > 0 ? "info" : "debug";
      if (rows + checkpoints > 0) this.#passOn(target);
      telemetry.log(level, "wan.healed", { region: target, from: source, rows, checkpoints, ms: clock.monotonicMs() - startMs });
      return true;
    } catch (thrown) {
      const { code, message } = MeridianError.from(thrown);
      const level = code === "UNAVAILABLE" ? "warn" : "error";
      if (!signal.aborted) telemetry.log(level, "wan.healing-broken-off", { region: target, from: source, code, message });
      return false;
    }
  }

  /** The region got something new: those that are cut off from where it came from can have it from here. */
  #passOn(region: string): void {
    const cutOff = new Set(this.#pairs.filter(({ open }) => !open).map(({ target }) => target));
    for (const pair of this.#pairs) if (pair.source === region && cutOff.has(pair.target)) pair.due = true;
  }

  /** How the region that is healed, `at`, works with a replica: its own or another's. */
  #reach(at: string, region: string, signal: AbortSignal): Reach {
    const { replicas, links, clock } = this.#options;
    const replica = replicas.get(region) as Replica;
    const withinMs = LIMITS.storeWriteMs + 2 * links.oneWayMs(at, region);
    return async (work) => {
      const way = links.roundTrip(at, region, () => work(replica));
      const back = await withDeadline(clock, withinMs, `healing ${at} from ${region}`, way, signal);
      if (back !== "cut") return back.answer;
      throw new MeridianError("UNAVAILABLE", `${region} is cut off from ${at}`);
    };
  }
}
