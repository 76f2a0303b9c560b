/**
 * The wide area between the regions of one machine: how long a way takes, and which ways are cut. Everything that crosses a
 * border inside the process, log and coordinator, asks here, and the proxies between the nodes' sockets follow what is
 * said here; so a fault has one place, and an order such as "eu-west is lost" hits all of them at once.
 *
 * A message that is on its way when its way is cut is lost, even if the way is restored before it would have arrived. Its
 * sender must not learn more than a network would tell, so what "cut" means is the caller's to decide: an outcome that
 * is unknown, never one that is known to have failed.
 *
 * The coordinator stands outside of the regions, for a majority of voters, one in each. Tempting: to put it into the region
 * that it answers from. But then the loss of this one region, or a partition around it, would stop all the others, which is
 * the very thing that a majority is for. So it has a seat: its own region while that one is connected to a majority, else
 * the nearest that is. A region reaches the coordinator if it reaches the seat, and always over the distance to its own region.
 */
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../ports/clock.ts";
import { DelayLine } from "./delay-line.ts";

/** The end of a way that is no region. */
export const COORDINATOR = Symbol("coordinator");

export type Place = string | typeof COORDINATOR;

export type Passed = "arrived" | "cut";

export type LinksChange =
  | { readonly kind: "region-lost" | "region-restored"; readonly region: string }
  | { readonly kind: "pair-partitioned" | "pair-restored"; readonly pair: readonly [string, string] };

export interface LinksOptions {
  readonly clock: Clock;
  readonly regions: readonly string[];
  readonly oneWayMs: (from: string, to: string) => number;
  /** The region from which the coordinator answers. */
  readonly coordinator: string;
}

type Passage = (passed: Passed) => void;

export class Links {
  readonly #options: LinksOptions;
  readonly #lost = new Set<string>();
  /** By `pairKey`. */
  readonly #partitioned = new Map<string, readonly [string, string]>();
  readonly #ways = new Map<Place, Map<Place, DelayLine<Passage>>>();
  readonly #listeners = new Set<(change: LinksChange) => void>();

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#check(options.coordinator);
  }

  get regions(): readonly string[] {
    return this.#options.regions;
  }

  get faults(): { readonly lost: readonly string[]; readonly partitioned: readonly (readonly [string, string])[] } {
    return { lost: [...this.#lost], partitioned: [...this.#partitioned.values()] };
  }

  oneWayMs(from: Place, to: Place): number {
    const { coordinator, oneWayMs } = this.#options;
    const a = from === COORDINATOR ? coordinator : from;
    const b = to === COORDINATOR ? coordinator : to;
    return a === b ? 0 : oneWayMs(a, b);
  }

  /** Whether what is sent now would arrive if nothing changed. */
  open(from: Place, to: Place): boolean {
    if (from === COORDINATOR || to === COORDINATOR) {
      const seat = this.#seat();
      const region = from === COORDINATOR ? to : from;
      return seat !== undefined && (region === COORDINATOR || this.#connected(region, seat));
    }
    return this.#connected(from, to);
  }

  /**
   * Resolves when a message from here to there arrives, or as soon as it is lost: at once on a way that is cut, or on which
   * `LIMITS.wanMessages` are under way. Messages of one direction arrive in the order of their sending.
   */
  async pass(from: Place, to: Place): Promise<Passed> {
    if (!this.open(from, to)) return "cut";
    const delayMs = this.oneWayMs(from, to);
    if (delayMs === 0) return "arrived";
    const way = this.#way(from, to, delayMs);
    if (way.size >= LIMITS.wanMessages) return "cut";
    return new Promise((resolve) => way.push(resolve));
  }

  /**
   * Goes there, works, and comes back with the answer, which is also an error that the work throws. "cut": the way there was
   * cut and the work was not begun, or the way back, and it was done.
   */
  async roundTrip<T>(from: Place, to: Place, work: () => Promise<T>): Promise<{ readonly answer: T } | "cut"> {
    if ((await this.pass(from, to)) === "cut") return "cut";
    const [done] = await Promise.allSettled([work()]);
    if ((await this.pass(to, from)) === "cut") return "cut";
    if (done.status === "rejected") throw MeridianError.from(done.reason);
    return { answer: done.value };
  }

  /** A region is gone, with everything in it: nothing reaches it, leaves it or passes inside it. */
  lose(region: string): void {
    this.#check(region);
    if (this.#lost.has(region)) return;
    this.#lost.add(region);
    this.#changed({ kind: "region-lost", region });
  }

  /** The region is back; partitions around it stay as they are. */
  restoreRegion(region: string): void {
    this.#check(region);
    if (this.#lost.delete(region)) this.#changed({ kind: "region-restored", region });
  }

  /** Nothing passes between the two any more, in either direction. */
  partition(a: string, b: string): void {
    const key = this.#pairKey(a, b);
    if (this.#partitioned.has(key)) return;
    const pair = [a, b] as const;
    this.#partitioned.set(key, pair);
    this.#changed({ kind: "pair-partitioned", pair });
  }

  restorePair(a: string, b: string): void {
    const pair = this.#partitioned.get(this.#pairKey(a, b));
    if (pair === undefined) return;
    this.#partitioned.delete(this.#pairKey(a, b));
    this.#changed({ kind: "pair-restored", pair });
  }

  /** No faults any more. */
  restoreAll(): void {
    for (const region of [...this.#lost]) this.restoreRegion(region);
    for (const [a, b] of [...this.#partitioned.values()]) this.restorePair(a, b);
  }

  /** Calls `listener` after each change, at once and not with those before; the answer ends that. */
  onChange(listener: (change: LinksChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #connected(a: string, b: string): boolean {
    if (this.#lost.has(a) || this.#lost.has(b)) return false;
    return a === b || this.#partitioned.size === 0 || !this.#partitioned.has(this.#pairKey(a, b));
  }

  /** Undefined: no region is connected to a majority of them, so the coordinator answers nobody. */
  #seat(): string | undefined {
    const { regions, coordinator } = this.#options;
    const majority = Math.floor(regions.length / 2) + 1;
    const byDistance = [...regions].sort((a, b) => this.oneWayMs(coordinator, a) - this.oneWayMs(coordinator, b));
    return byDistance.find((seat) => regions.filter((region) => this.#connected(seat, region)).length >= majority);
  }

  #changed(change: LinksChange): void {
    for (const [from, ways] of this.#ways) {
      for (const [to, way] of ways) {
        if (!this.open(from, to)) for (const lost of way.clear()) lost("cut");
      }
    }
    for (const listener of [...this.#listeners]) listener(change);
  }

  #way(from: Place, to: Place, delayMs: number): DelayLine<Passage> {
    const ways = this.#ways.get(from) ?? new Map<Place, DelayLine<Passage>>();
    this.#ways.set(from, ways);
    const known = ways.get(to);
    if (known !== undefined) return known;
    const way = new DelayLine<Passage>({ clock: this.#options.clock, delayMs, deliver: (arrive) => arrive("arrived") });
    ways.set(to, way);
    return way;
  }

  #pairKey(a: string, b: string): string {
    this.#check(a);
    this.#check(b);
    if (a === b) throw new MeridianError("INVALID_ARGUMENT", `${a} cannot be partitioned from itself`);
    return [a, b].sort().join(" ");
  }

  #check(region: string): void {
    const { regions } = this.#options;
    if (regions.includes(region)) return;
    throw new MeridianError("INVALID_ARGUMENT", `there is no region ${JSON.stringify(region)}`, {
      advice: `The regions are ${regions.join(", ")}.`,
    });
  }
}
