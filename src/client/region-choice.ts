/**
 * Which of several nodes to use. Who is nearest can only be measured, and every measurement is out of date: a node may have
 * died since its last answer, a quick answer may have been luck, a slow one may have queued behind a delivery. So
 * measurements decide at three different speeds. A node that is worth nothing now (it broke the session, it does not serve) is
 * left at once. When the present node falls silent, all answers so far are doubted: what cut it off may have cut off its
 * neighbours too, and only an answer that comes now proves a node. And for mere nearness a working session moves late, and
 * only for a clear gain.
 */
import { invariant, MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

/** What a probe found out. */
export interface Measurement {
  readonly rttMs: number;
  /** Whether the node says that it serves. */
  readonly serving: boolean;
}

/** What is known of one endpoint. */
interface Place {
  readonly endpoint: string;
  /** By its last probe; `unknown`: there was none yet, or it is in doubt. */
  health: "unknown" | "serving" | "not serving" | "out of reach";
  /** Smoothed; infinite while it is not known. */
  rttMs: number;
  /** Answered probes since it was last out of reach. */
  samples: number;
  /** Probes in a row by which it is clearly nearer than the present one. */
  nearer: number;
  /** When a session there broke last, by the monotonic clock. */
  failedMs: number;
}

/** How good a choice a place is, the best first; within a rank the nearest one, and of equals the one that was named first. */
const RANK = { serving: 0, unknown: 1, "not serving": 2, "serving, avoided": 3, "out of reach": 4 } as const;

/** The decision alone: it neither waits nor measures. Times are those of the monotonic clock. */
export class RegionChoice {
  readonly #places: readonly Place[];
  /** Where the session is, or is being opened. */
  #present: Place | undefined;

  /** `host:port` each, the preferred one first. Throws INVALID_ARGUMENT. */
  constructor(endpoints: readonly string[]) {
    if (endpoints.length === 0) throw new MeridianError("INVALID_ARGUMENT", "give at least one endpoint, such as 127.0.0.1:7401");
    for (const endpoint of endpoints) {
      if (!/^.+:\d{1,5}$/.test(endpoint)) {
        throw new MeridianError("INVALID_ARGUMENT", `an endpoint is host:port, not ${JSON.stringify(endpoint)}`);
      }
    }
    this.#places = [...new Set(endpoints)].map((endpoint) => ({
      endpoint,
      health: "unknown",
      rttMs: Number.POSITIVE_INFINITY,
      samples: 0,
      nearer: 0,
      failedMs: Number.NEGATIVE_INFINITY,
    }));
  }

  get endpoints(): readonly string[] {
    return this.#places.map(({ endpoint }) => endpoint);
  }

  /** The present endpoint; without one, the best. */
  endpoint(nowMs: number): string {
    return (this.#present ?? this.#best(nowMs)).endpoint;
  }

  /** The smoothed round trip; undefined while it is not known. */
  rttMs(endpoint: string): number | undefined {
    const { rttMs } = this.#place(endpoint);
    return Number.isFinite(rttMs) ? rttMs : undefined;
  }

  /** Whether the endpoint has answered too few probes yet to be judged. */
  isNew(endpoint: string): boolean {
    const { samples } = this.#place(endpoint);
    return samples > 0 && samples < LIMITS.probesAtStart;
  }

  /** Whether a session there broke a short while ago. */
  isAvoided(endpoint: string, nowMs: number): boolean {
    return nowMs - this.#place(endpoint).failedMs < LIMITS.avoidMs;
  }

  /** Makes the best endpoint the present one. */
  take(nowMs: number): string {
    const best = this.#best(nowMs);
    this.#present = best;
    for (const place of this.#places) place.nearer = 0;
    return best.endpoint;
  }

  /** The session at the present endpoint could not be opened, or broke. */
  failed(nowMs: number): void {
    if (this.#present !== undefined) this.#present.failedMs = nowMs;
    this.#present = undefined;
  }

  measured(endpoint: string, { rttMs, serving }: Measurement): void {
    const place = this.#place(endpoint);
    place.health = serving ? "serving" : "not serving";
    const isStart = place.samples < LIMITS.probesAtStart;
    place.rttMs = isStart ? Math.min(place.rttMs, rttMs) : place.rttMs + (rttMs - place.rttMs) * LIMITS.probeWeight;
    place.samples += 1;
    place.nearer = serving && !this.isNew(endpoint) && this.#isClearlyNearer(place) ? place.nearer + 1 : 0;
  }

  outOfReach(endpoint: string): void {
    const place = this.#place(endpoint);
    place.health = "out of reach";
    place.rttMs = Number.POSITIVE_INFINITY;
    place.samples = 0;
    place.nearer = 0;
  }

  /** The present endpoint is silent: only answers that come from now on count. */
  doubt(): void {
    for (const place of this.#places) if (place.health === "serving") place.health = "unknown";
  }

  /** Where a working session should move to, if anywhere. */
  better(nowMs: number): string | undefined {
    const present = this.#present;
    const best = this.#best(nowMs);
    if (present === undefined || best === present || this.#rank(best, nowMs) !== RANK.serving) return undefined;
    const isWorthIt = present.health === "not serving" || best.nearer >= LIMITS.nearerProbes;
    return isWorthIt ? best.endpoint : undefined;
  }

  #isClearlyNearer({ rttMs }: Place): boolean {
    const presentMs = this.#present?.rttMs ?? Number.POSITIVE_INFINITY;
    const gainMs = presentMs - rttMs;
    return Number.isFinite(gainMs) && gainMs >= LIMITS.nearerMs && gainMs >= presentMs * LIMITS.nearerShare;
  }

  #best(nowMs: number): Place {
    return this.#places.reduce((best, place) => (this.#isBefore(place, best, nowMs) ? place : best));
  }

  #isBefore(a: Place, b: Place, nowMs: number): boolean {
    const [rankA, rankB] = [this.#rank(a, nowMs), this.#rank(b, nowMs)];
    if (rankA !== rankB) return rankA < rankB;
    // Of those that are bad, each gets its turn.
    return rankA >= RANK["serving, avoided"] ? a.failedMs < b.failedMs : a.rttMs < b.rttMs;
  }

  #rank(place: Place, nowMs: number): number {
    if (!this.isAvoided(place.endpoint, nowMs)) return RANK[place.health];
    return place.health === "serving" ? RANK["serving, avoided"] : RANK["out of reach"];
  }

  #place(endpoint: string): Place {
    const place = this.#places.find((known) => known.endpoint === endpoint);
    invariant(place !== undefined, `${endpoint} is one of the endpoints`);
    return place;
  }
}
