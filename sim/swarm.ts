/**
 * Draws a plan from a seed. Not every history gets every fault: the mix itself is drawn first, which kinds and how much of
 * each. A history in which everything happens at once shows little, because nothing gets far enough to be broken.
 */
import { defaultHome } from "../src/kernel/names.ts";
import { regionOf } from "./links.ts";
import type { Pick } from "./picks.ts";
import type { ActorPlan, Fault, FaultKind, NodePlan, Operation, Plan, ReadingPlan } from "./plan.ts";
import type { Copies, Moment, TxnFate } from "./process.ts";
import { SeededRandom } from "./random.ts";

const REGIONS = ["east", "south", "west"];
const SENDERS = ["ada", "bob", "cy"];
const MOMENTS: readonly Moment[] = [
  "append",
  "append answer",
  "read answer",
  "checkpoint",
  "txn",
  "txn answer",
  "renewal answer",
];

/** A slice of the mix: how many faults of a kind a history has, when it has any. */
const COMMON: readonly { readonly kind: FaultKind; readonly most: number; readonly oneIn: number }[] = [
  // Two chances: six histories in ten lose a region.
  { kind: "region-lost", most: 2, oneIn: 2 },
  { kind: "region-lost", most: 1, oneIn: 5 },
  { kind: "crash", most: 5, oneIn: 2 },
  { kind: "pause", most: 4, oneIn: 2 },
  { kind: "pause-at", most: 10, oneIn: 2 },
  { kind: "suspend", most: 4, oneIn: 4 },
  { kind: "suspend-at", most: 6, oneIn: 2 },
  { kind: "crash-at", most: 5, oneIn: 2 },
  { kind: "leave", most: 3, oneIn: 3 },
  { kind: "cut", most: 6, oneIn: 2 },
  { kind: "slow", most: 3, oneIn: 4 },
  { kind: "reset", most: 5, oneIn: 3 },
  { kind: "half-open", most: 3, oneIn: 4 },
  { kind: "step", most: 4, oneIn: 4 },
  { kind: "freeze", most: 3, oneIn: 5 },
  { kind: "lie", most: 2, oneIn: 8 },
  { kind: "unsynchronised", most: 2, oneIn: 6 },
  { kind: "watch-cut", most: 6, oneIn: 3 },
  { kind: "watch-lag", most: 4, oneIn: 2 },
  { kind: "replica-down", most: 3, oneIn: 3 },
  { kind: "power-loss", most: 3, oneIn: 4 },
  { kind: "damage", most: 2, oneIn: 6 },
  { kind: "store-step", most: 3, oneIn: 4 },
  { kind: "store-trouble", most: 4, oneIn: 2 },
  { kind: "txn-trouble", most: 4, oneIn: 2 },
  { kind: "elect", most: 6, oneIn: 2 },
  { kind: "no-etcd", most: 2, oneIn: 4 },
  { kind: "compact", most: 4, oneIn: 4 },
  { kind: "copies", most: 6, oneIn: 2 },
  { kind: "lose-txn", most: 6, oneIn: 2 },
];

/**
 * What a history is mostly about: these kinds it has for sure, and twice as many of them; others seldom. Half of all histories
 * are about nothing in particular. What is dangerous together (writes that reach one replica, and changes of leaders) comes
 * together more often so, without anybody's knowing which bug it would find.
 */
const THEMES: readonly (readonly FaultKind[])[] = [
  ["store-trouble", "copies", "crash", "crash-at", "power-loss", "replica-down", "pause-at"],
  ["txn-trouble", "lose-txn", "elect", "watch-lag", "watch-cut", "leave", "compact"],
  ["lie", "unsynchronised", "crash", "leave", "lose-txn", "txn-trouble"],
  ["suspend-at", "pause-at", "suspend", "step", "freeze", "slow", "elect", "watch-lag"],
];

export function drawPlan(seed: number): Plan {
  return new Swarm(seed).plan();
}

/** How far from its centre what happens in a storm may lie: a lease and a takeover. */
const STORM_MS = 4_000;

class Swarm {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #troubledMs: number;
  readonly #nodes: readonly NodePlan[];
  readonly #replicasPerRegion: number;
  readonly #conversations: readonly string[];
  readonly #actors: readonly ActorPlan[];
  readonly #theme: readonly FaultKind[] | undefined;
  /** When much happens at once; in none of them: all over the history. */
  readonly #storms: readonly number[];
  /** Where most of it happens: who leads most at first. */
  readonly #focus: string | undefined;
  readonly #hot: string;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
    this.#theme = this.#oneIn(2) ? undefined : this.#pick(THEMES);
    this.#troubledMs = 1_000 * this.#between(12, 32);
    // Slow clocks: up to just under the margin in one TTL.
    const drifts = this.#oneIn(2);
    const rate = () => (drifts ? 0.672 + this.#below(400) / 1_000 : 1);
    this.#nodes = REGIONS.flatMap((region) =>
      Array.from({ length: this.#between(1, 2) }, (_, i) => {
        const errorMs = this.#pick([1, 1, 40, 240]);
        const offsetMs = this.#below(2 * errorMs + 1) - errorMs;
        return { name: `${region}-${i + 1}`, region, monotonicRate: rate(), wallRate: rate(), offsetMs, errorMs };
      }),
    );
    this.#replicasPerRegion = this.#oneIn(5) ? 3 : 1;
    const names = ["standup", "ops", "lunch", "on-call"].slice(0, this.#between(2, 4));
    this.#conversations = names.map((name) => (this.#oneIn(4) ? name : `${name}@${this.#pick(REGIONS)}`));
    this.#actors = REGIONS.map((region, i) => this.#actor(region, `${region}-c${i + 1}`, true));
    if (this.#oneIn(2)) this.#actors = [...this.#actors, this.#actor(this.#pick(REGIONS), "roaming-c", false)];
    this.#hot = this.#pick(this.#conversations);
    this.#storms = this.#oneIn(2) ? [] : Array.from({ length: this.#between(1, 3) }, () => this.#below(this.#troubledMs));
    this.#focus = this.#oneIn(3) ? undefined : defaultHome(this.#hot, REGIONS);
  }

  plan(): Plan {
    return {
      seed: this.#seed,
      regions: REGIONS,
      nodes: this.#nodes,
      replicasPerRegion: this.#replicasPerRegion,
      linkMsMin: this.#pick([2, 10, 40]),
      linkMsSpread: this.#pick([0, 10, 80]),
      hintMs: this.#pick([3_000, 20_000, 90_000]),
      hinted: this.#pick([0, 50, 100]),
      lateTxnMs: this.#pick([1_500, 6_000, 20_000]),
      conversations: this.#conversations,
      actors: this.#actors,
      troubledMs: this.#troubledMs,
      faults: this.#faults(),
      operations: this.#operations(),
    };
  }

  #actor(region: string, name: string, readsAll: boolean): ActorPlan {
    const others = REGIONS.filter((other) => other !== region);
    const prefers = [region, ...(this.#oneIn(2) ? others : others.reverse())].filter((one) => REGIONS.includes(one));
    const slow = this.#oneIn(3);
    const reads = this.#conversations
      .filter(() => readsAll || this.#oneIn(2))
      .map((conversation): ReadingPlan => {
        return {
          conversation,
          cursor: this.#pick(["application", "server", "none"] as const),
          handlerMs: slow ? this.#pick([20, 200]) : 0,
          fails: this.#oneIn(4) ? 10 : 0,
        };
      });
    return { name, region, prefers, reads };
  }

  #operations(): Operation[] {
    const operations: Operation[] = [];
    const moves = this.#theme?.includes("txn-trouble") === true ? this.#between(6, 16) : this.#oneIn(2) ? this.#between(1, 8) : 0;
    const restarts = this.#oneIn(2) ? this.#between(1, 4) : 0;
    for (let i = this.#between(40, 110); i > 0; i -= 1) operations.push(this.#send());
    for (let i = 0; i < moves; i += 1) {
      const conversation = this.#oneIn(2) ? this.#hot : this.#pick(this.#conversations);
      operations.push({ atMs: this.#moment(), kind: "move", conversation, region: this.#pick(REGIONS) });
    }
    for (let i = 0; i < restarts; i += 1) {
      operations.push({ atMs: this.#moment(), kind: "restart", actor: this.#pick(this.#actors).name });
    }
    // Drawn last of all, so that the rest of a seed's plan is what it was without them.
    if (this.#oneIn(4)) for (let i = this.#between(2, 10); i > 0; i -= 1) operations.push(this.#unary(i));
    return operations.sort((a, b) => a.atMs - b.atMs);
  }

  #send(): Operation {
    const key = this.#oneIn(6) ? `key ${this.#below(12)}` : undefined;
    return {
      atMs: this.#moment(),
      kind: "send",
      actor: this.#pick(this.#actors).name,
      // Sends of one key are one message, so one sender says them.
      sender: key === undefined ? this.#pick(SENDERS) : "dee",
      conversation: this.#oneIn(2) ? this.#hot : this.#pick(this.#conversations),
      messages: key === undefined ? this.#between(1, this.#oneIn(5) ? 12 : 3) : 1,
      ...(key === undefined ? {} : { key }),
      ...(this.#oneIn(6) ? { deadlineMs: this.#pick([50, 300, 2_000]) } : {}),
    };
  }

  /** Some pause for so long that their key is forgotten meanwhile. */
  #unary(i: number): Operation {
    return {
      atMs: this.#moment(),
      kind: "unary",
      actor: this.#pick(this.#actors).name,
      conversation: this.#oneIn(3) ? this.#pick(this.#conversations) : this.#hot,
      key: `letter ${i}`,
      ...(this.#oneIn(4) ? {} : { base: "head" as const }),
      pauseMs: this.#pick([100, 1_000, 8_000]),
    };
  }

  #faults(): Fault[] {
    const faults: Fault[] = [];
    // A machine's monotonic clock or its wall clock may be wrong by much, not both: then nothing would be left to go by.
    const wallIsWrong = this.#oneIn(2);
    for (const { kind, most, oneIn } of COMMON) {
      if ((kind === "suspend" || kind === "suspend-at") && wallIsWrong) continue;
      if ((kind === "step" || kind === "freeze") && !wallIsWrong) continue;
      const isTheme = this.#theme?.includes(kind) === true;
      const seldom = this.#theme === undefined || kind === "region-lost" ? oneIn : 3 * oneIn;
      if (!isTheme && !this.#oneIn(seldom)) continue;
      const count = isTheme ? most + this.#below(most + 1) : this.#between(1, most);
      for (let i = 0; i < count; i += 1) faults.push(this.#fault(kind));
    }
    return faults.sort((a, b) => a.atMs - b.atMs);
  }

  #fault(kind: FaultKind): Fault {
    const atMs = this.#moment();
    const forMs = Math.min(this.#duration(), this.#troubledMs - atMs);
    const base = { atMs, forMs };
    const once = { atMs, forMs: 0 };
    const node = this.#node();
    switch (kind) {
      case "cut":
        return { ...base, kind, ...this.#cut() };
      case "slow":
        return { ...base, kind, from: this.#pick(REGIONS), to: this.#pick(REGIONS), extraMs: this.#pick([50, 400, 1_500]) };
      case "reset":
      case "half-open":
        return { ...once, kind, place: this.#oneIn(2) ? node : this.#pick(this.#actors).name };
      case "step": {
        const byMs = this.#pick([50, 800, 5_000, 60_000]) * (this.#oneIn(2) ? 1 : -1);
        return { ...once, kind, node, byMs };
      }
      case "lie":
        return { ...base, kind, node, byMs: this.#pick([-20_000, -1_500, 900, 4_000, 30_000]) };
      case "pause-at":
      case "suspend-at":
        return { ...base, forMs: this.#stop(), kind, node, moment: this.#pick(MOMENTS), timersLast: this.#oneIn(2) };
      case "crash-at":
        return { ...base, forMs: this.#stop(), kind, node, moment: this.#pick(MOMENTS) };
      case "watch-cut":
        return { ...once, kind, node };
      case "watch-lag":
        return { ...base, kind, node, lagMs: this.#pick([200, 2_000, 8_000]) };
      case "region-lost":
        return { ...base, kind, region: this.#pick(REGIONS) };
      case "replica-down":
      case "power-loss":
        return { ...base, kind, replica: this.#replica() };
      case "damage":
        return { ...base, kind, replica: this.#replica(), about: this.#hot };
      case "store-step":
        return { ...once, kind, byMs: this.#pick([-60_000, -2_000, 5_000]) };
      case "store-trouble": {
        const much = () => this.#pick([0, 5, 20, 40]);
        return { ...base, kind, lost: much(), unheard: much(), late: much() };
      }
      case "txn-trouble":
        return { ...base, kind, unknown: this.#pick([5, 30, 60]), busy: this.#pick([0, 5, 20]) };
      case "elect":
        return { atMs, forMs: this.#duration(), kind, hears: this.#nodes.map(({ name }) => name).filter(() => this.#oneIn(2)) };
      case "no-etcd":
        return { ...base, kind };
      case "compact":
        return { ...once, kind };
      case "copies":
        return { ...once, kind, node, of: this.#oneIn(4) ? "checkpoint" : "row", ...this.#copies() };
      case "lose-txn":
        return { ...once, kind, node, ...this.#txnFate() };
      case "backup":
        return { ...once, kind };
      case "restore":
      case "disk-loss":
        throw new Error(`${kind} is an operator's matter, and only in scenarios`);
      default:
        return { ...base, kind, node };
    }
  }

  /** Few copies of the next writes: what one recovery finds, the next one may not. */
  #copies(): Copies & Pick {
    const reach = REGIONS.flatMap((region) =>
      Array.from({ length: this.#replicasPerRegion }, (_, i) => `${region}-r${i + 1}`),
    ).filter(() => this.#oneIn(3));
    return { skip: this.#below(3), count: this.#between(1, 4), reach, lateMs: this.#pick([0, 0, 1_000, 6_000, 20_000]) };
  }

  /** Of a write to the keys that say who leads. */
  #txnFate(): TxnFate & Pick {
    const about = this.#pick(["homes/", "shards/", "workers/"]);
    return { about, landMs: this.#pick([-1, 0, 400, 3_500, 8_000]), answerMs: 10 + this.#below(700) };
  }

  #replica(): string {
    return `${this.#pick(REGIONS)}-r${this.#between(1, this.#replicasPerRegion)}`;
  }

  #cut(): { from: string; to: string; bothWays: boolean } {
    const node = this.#node();
    const region = this.#pick(REGIONS);
    const bothWays = !this.#oneIn(3);
    switch (this.#below(5)) {
      case 0:
        return { from: region, to: "*", bothWays };
      case 1:
        return { from: node, to: "etcd", bothWays };
      case 2:
        return { from: region, to: "etcd", bothWays };
      case 3:
        return { from: node, to: this.#pick(this.#nodes.filter(({ name }) => name !== node)).name, bothWays };
      default:
        return { from: region, to: this.#pick(REGIONS.filter((other) => other !== regionOf(`${region}-1`))), bothWays };
    }
  }

  /** What is dangerous together comes together more often than chance would have it: in a storm, and where it is felt. */
  #moment(): number {
    if (this.#storms.length === 0 || this.#oneIn(3)) return this.#below(this.#troubledMs);
    return Math.min(this.#pick(this.#storms) + this.#below(STORM_MS), this.#troubledMs - 1);
  }

  #node(): string {
    const near = this.#nodes.filter(({ region }) => region === this.#focus);
    return this.#pick(near.length === 0 || this.#oneIn(3) ? this.#nodes : near).name;
  }

  /** Short ones, ones about as long as a lease, and long ones. */
  #duration(): number {
    const longest = this.#pick([200, 1_500, 6_000, 6_000, 20_000]);
    return 20 + this.#below(longest);
  }

  /** Mostly long enough that somebody else has taken over when it ends. */
  #stop(): number {
    return this.#oneIn(3) ? this.#duration() : 3_300 + this.#below(4_000);
  }

  #between(low: number, high: number): number {
    return low + this.#below(high - low + 1);
  }

  #below(n: number): number {
    return this.#random.below(n);
  }

  #oneIn(n: number): boolean {
    return this.#random.below(n) === 0;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }
}
