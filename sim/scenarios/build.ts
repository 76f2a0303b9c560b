import type { Pick } from "../picks.ts";
import type { ActorPlan, Fault, NodePlan, Operation, Plan, ReadingPlan } from "../plan.ts";

export interface Scenario {
  readonly name: string;
  /** What must hold although this happens. */
  readonly story: string;
  /** Seeded bugs (sim/mutants) that it is there to find: lines whose removal breaks it. */
  readonly finds: readonly string[];
  readonly plan: Plan;
}

export const REGIONS = ["east", "south", "west"];
/** Led in east, until somebody moves it. */
export const TALK = "standup@east";
/** Its leader at first. */
export const LEADER = "east-1";

export interface ScenarioOptions {
  readonly story: string;
  readonly finds?: readonly string[];
  readonly faults: readonly Fault[];
  readonly operations?: readonly Operation[];
  /** Beside one node a region. */
  readonly moreNodes?: readonly string[];
  /** Nodes whose clocks are not right. */
  readonly clocks?: Readonly<Record<string, Partial<NodePlan>>>;
  /** Conversations besides the one that everybody reads; the client of their home reads them. */
  readonly moreConversations?: readonly string[];
  /** A client that says that it has seen an id so far in the future. */
  readonly boasts?: { readonly actor: string; readonly byMs: number };
  /** Whether somebody speaks twenty times a second, besides `operations`; default: no. */
  readonly busy?: boolean;
  /** Who reads: clients by region; default: all. */
  readonly readers?: readonly string[];
  /** When they begin; default: with the history. */
  readonly readFromMs?: number;
  /** How long they take for a message, at most. Default: no time. */
  readonly handlerMs?: number;
  readonly troubledMs?: number;
  readonly seed?: number;
  /** How much later than its TTL a lease may end. Default: at once. */
  readonly leaseLateMs?: number;
  /** Out of 100 writes that a replica missed: how many are remembered for it. Default: all. */
  readonly hinted?: number;
}

/** One node and one replica a region; a client in each. */
export function scenario(name: string, options: ScenarioOptions): Scenario {
  const { story, finds = [], faults, operations = [], moreNodes = [], clocks = {}, readers = REGIONS } = options;
  const { moreConversations = [] } = options;
  const nodes = [...REGIONS.map((region) => `${region}-1`), ...moreNodes];
  const actors = REGIONS.map((region, i): ActorPlan => {
    const cursor = (["application", "server", "none"] as const)[i] ?? "none";
    const from = options.readFromMs === undefined ? {} : { fromMs: options.readFromMs };
    const reading: ReadingPlan = { conversation: TALK, cursor, handlerMs: options.handlerMs ?? 0, fails: 0, ...from };
    const prefers = [region, ...REGIONS.filter((other) => other !== region)];
    const name = `${region}-c`;
    const others = moreConversations.filter((conversation) => conversation.endsWith(`@${region}`));
    const reads = [
      ...(readers.includes(region) ? [reading] : []),
      ...others.map((conversation): ReadingPlan => ({ ...reading, conversation })),
    ];
    const boasts = options.boasts?.actor === name ? { boastsMs: options.boasts.byMs } : {};
    return { name, region, prefers, reads, ...boasts };
  });
  return {
    name,
    story,
    finds,
    plan: {
      seed: options.seed ?? 1,
      regions: REGIONS,
      nodes: nodes.map((node) => ({
        name: node,
        region: node.slice(0, node.lastIndexOf("-")),
        monotonicRate: 1,
        wallRate: 1,
        offsetMs: 0,
        errorMs: 1,
        ...clocks[node],
      })),
      replicasPerRegion: 1,
      linkMsMin: 2,
      linkMsSpread: 4,
      hintMs: 8_000,
      hinted: options.hinted ?? 100,
      leaseLateMs: options.leaseLateMs ?? 0,
      lateTxnMs: 4_000,
      conversations: [TALK, ...moreConversations],
      actors,
      troubledMs: options.troubledMs ?? 20_000,
      faults: [...faults].sort((a, b) => a.atMs - b.atMs),
      operations: [...(options.busy === true ? chatter() : []), ...operations].sort((a, b) => a.atMs - b.atMs),
    },
  };
}

/** Somebody says something twenty times a second. */
function chatter(): Operation[] {
  return Array.from({ length: 300 }, (_, i) => say(50 * i, `${REGIONS[i % 3]}-c`, { sender: `sender-${i % 2}` }));
}

/** A client sends. */
export function say(
  atMs: number,
  actor: string,
  more: Partial<Omit<Extract<Operation, { kind: "send" }>, "atMs" | "kind" | "actor">> = {},
): Operation {
  return { atMs, kind: "send", actor, sender: "ada", conversation: TALK, messages: 1, ...more };
}

export function move(atMs: number, region: string): Operation {
  return { atMs, kind: "move", conversation: TALK, region };
}

export function crash(atMs: number, node: string, forMs: number): Fault {
  return { atMs, forMs, kind: "crash", node };
}

/** Which replicas the next rows of a node reach; the others never get them. */
export function rows(
  atMs: number,
  node: string,
  reach: readonly string[],
  more: Pick & { readonly lateMs?: number } = {},
): Fault {
  const { lateMs = 0, ...pick } = more;
  return { atMs, forMs: 0, kind: "copies", node, of: "row", reach, lateMs, ...pick };
}

/** The next such transaction of a node: its answer is lost, and it lands so much later (negative: never). */
export function loseTxn(atMs: number, node: string, about: string, landMs: number): Fault {
  return { atMs, forMs: 0, kind: "lose-txn", node, about, landMs, answerMs: 700 };
}

/** A node hears of changes eight seconds late, or never. */
export function deaf(atMs: number, node: string, forMs: number): Fault {
  return { atMs, forMs, kind: "watch-lag", node, lagMs: 8_000 };
}

/** One sender says something every so often. */
export function chat(actor: string, fromMs: number, toMs: number, everyMs: number, conversation = TALK): Operation[] {
  const times = Array.from({ length: Math.floor((toMs - fromMs) / everyMs) }, (_, i) => fromMs + i * everyMs);
  return times.map((atMs) => say(atMs, actor, { conversation }));
}

export function down(atMs: number, replica: string, forMs: number): Fault {
  return { atMs, forMs, kind: "replica-down", replica };
}
