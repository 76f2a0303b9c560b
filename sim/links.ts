import type { SeededRandom } from "./random.ts";

/** Everything in `from` cannot reach anything in `to`: places, regions, or "*", which is all that lies outside of the other. */
export interface Cut {
  readonly from: string;
  readonly to: string;
}

/** The region of a place such as `east-1`: what stands before its last dash. */
export function regionOf(place: string): string {
  const dash = place.lastIndexOf("-");
  return dash < 0 ? place : place.slice(0, dash);
}

/**
 * Who can reach whom, and how long it takes, in whole milliseconds: much happens at the same time then, and the order of such
 * things is what races are about. Cuts have a direction; frames, the store's writes and the coordinator's calls all heed them.
 */
export class Links {
  readonly #random: SeededRandom;
  readonly #baseMs = new Map<string, number>();
  readonly #cuts = new Set<Cut>();
  readonly #slow = new Map<string, number>();

  /** `betweenMs` is the one-way time between two regions, whichever way round. */
  constructor(random: SeededRandom, regions: readonly string[], betweenMs: (a: number, b: number) => number) {
    this.#random = random;
    for (const [i, a] of regions.entries()) {
      for (const [j, b] of regions.entries())
        this.#baseMs.set(`${a}>${b}`, i === j ? 0 : betweenMs(Math.min(i, j), Math.max(i, j)));
    }
  }

  cut(cut: Cut): () => void {
    this.#cuts.add(cut);
    return () => this.#cuts.delete(cut);
  }

  /** Adds to the time from one region to another. */
  slow(from: string, to: string, extraMs: number): () => void {
    const link = `${from}>${to}`;
    this.#slow.set(link, (this.#slow.get(link) ?? 0) + extraMs);
    return () => this.#slow.set(link, (this.#slow.get(link) ?? 0) - extraMs);
  }

  open(from: string, to: string): boolean {
    if (this.#cuts.size === 0 || from === to) return true;
    for (const cut of this.#cuts) if (covers(cut.from, from, to) && covers(cut.to, to, from)) return false;
    return true;
  }

  delayMs(from: string, to: string): number {
    const link = `${regionOf(from)}>${regionOf(to)}`;
    return 1 + (this.#baseMs.get(link) ?? 5) + (this.#slow.get(link) ?? 0) + this.#random.below(4);
  }

  healAll(): void {
    this.#cuts.clear();
    this.#slow.clear();
  }
}

/** "*" is whatever does not lie in the other's region; a single place is cut off from its own region, too. */
function covers(pattern: string, place: string, other: string): boolean {
  if (pattern === place || pattern === regionOf(place)) return true;
  return pattern === "*" && regionOf(place) !== regionOf(other);
}
