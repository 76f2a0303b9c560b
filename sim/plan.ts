import type { TxnTrouble } from "./coordinator.ts";
import type { Trouble } from "./log-store.ts";
import type { Pick } from "./picks.ts";
import type { Copies, Moment, TxnFate } from "./process.ts";

/**
 * One history as it is planned: everything that will be done, and when. The rest (how long each frame takes, which write is
 * lost while there is trouble) is drawn from the seed as the history runs. A plan is data, so that it can be printed, kept in
 * a file, and made smaller.
 */
export interface Plan {
  readonly seed: number;
  readonly regions: readonly string[];
  readonly nodes: readonly NodePlan[];
  readonly replicasPerRegion: number;
  /** One-way times between regions: from `linkMsMin` to that and `linkMsSpread` more. */
  readonly linkMsMin: number;
  readonly linkMsSpread: number;
  /** The longest that a hint waits, and out of 100 missed writes those that become one. */
  readonly hintMs: number;
  readonly hinted: number;
  /** How much later than its TTL a lease may end. Default: 1,500. */
  readonly leaseLateMs?: number;
  /** The latest that a transaction of unknown outcome lands. */
  readonly lateTxnMs: number;
  readonly conversations: readonly string[];
  readonly actors: readonly ActorPlan[];
  /** How long faults last; then everything heals. */
  readonly troubledMs: number;
  readonly faults: readonly Fault[];
  readonly operations: readonly Operation[];
}

export interface NodePlan {
  readonly name: string;
  readonly region: string;
  readonly monotonicRate: number;
  readonly wallRate: number;
  readonly offsetMs: number;
  readonly errorMs: number;
}

/** A client: it sends as its senders, and reads. */
export interface ActorPlan {
  readonly name: string;
  readonly region: string;
  /** Regions in the order in which it tries their nodes. */
  readonly prefers: readonly string[];
  readonly reads: readonly ReadingPlan[];
  /** It says that it has seen an id so far in the future. Default: it tells the truth. */
  readonly boastsMs?: number;
}

export interface ReadingPlan {
  readonly conversation: string;
  /** Who keeps the cursor; none: a restarted reader begins at the beginning. */
  readonly cursor: "application" | "server" | "none";
  /** How long handling one message takes. */
  readonly handlerMs: number;
  /** Out of 100 messages: how many fail at the first try. */
  readonly fails: number;
  /** When it begins; default: with the history. */
  readonly fromMs?: number;
}

export type Operation = { readonly atMs: number } & (
  | {
      readonly kind: "send";
      readonly actor: string;
      readonly sender: string;
      readonly conversation: string;
      readonly messages: number;
      /** Sent with this key, and this as its content, whoever sends it. */
      readonly key?: string;
      /** Another content than its key's. */
      readonly content?: string;
      /** Given up after this. */
      readonly deadlineMs?: number;
    }
  | {
      /** A call without a session, repeated until it has an answer. */
      readonly kind: "unary";
      readonly actor: string;
      readonly conversation: string;
      /** No other send's; also the content. */
      readonly key: string;
      /** A seq that the conversation had before the first try; "head": as a node says; none: late tries are new messages. */
      readonly base?: number | "head";
      /** Between two tries. */
      readonly pauseMs: number;
    }
  | { readonly kind: "restart"; readonly actor: string }
  | { readonly kind: "move"; readonly conversation: string; readonly region: string }
);

/** Stopped at that very call; with `timersLast` it then hears all that has come before it looks at its timers. */
type Stop = { readonly node: string; readonly moment: Moment; readonly timersLast: boolean } & Pick;

/** What is done to the world at `atMs`, and undone `forMs` later (0: it is over at once). */
export type Fault = { readonly atMs: number; readonly forMs: number } & (
  | { readonly kind: "cut"; readonly from: string; readonly to: string; readonly bothWays: boolean }
  | { readonly kind: "slow"; readonly from: string; readonly to: string; readonly extraMs: number }
  | { readonly kind: "reset" | "half-open"; readonly place: string }
  | { readonly kind: "crash" | "leave" | "pause" | "suspend" | "freeze" | "unsynchronised" | "watch-cut"; readonly node: string }
  | ({ readonly kind: "pause-at" } & Stop)
  | ({ readonly kind: "suspend-at" } & Stop)
  | ({ readonly kind: "crash-at"; readonly node: string; readonly moment: Moment } & Pick)
  | ({ readonly kind: "copies"; readonly node: string; readonly of: "row" | "checkpoint" } & Copies & Pick)
  | ({ readonly kind: "lose-txn"; readonly node: string } & TxnFate & Pick)
  | { readonly kind: "step" | "lie"; readonly node: string; readonly byMs: number }
  | { readonly kind: "watch-lag"; readonly node: string; readonly lagMs: number }
  | { readonly kind: "region-lost"; readonly region: string }
  | { readonly kind: "replica-down" | "power-loss" | "disk-loss"; readonly replica: string }
  | { readonly kind: "damage"; readonly replica: string; readonly about: string }
  | { readonly kind: "store-step"; readonly byMs: number }
  | ({ readonly kind: "store-trouble" } & Trouble)
  | ({ readonly kind: "txn-trouble" } & TxnTrouble)
  | { readonly kind: "elect"; readonly hears: readonly string[] }
  | { readonly kind: "no-etcd" | "compact" | "backup" }
  | { readonly kind: "restore"; readonly byTheBook: boolean }
);

export type FaultKind = Fault["kind"];
