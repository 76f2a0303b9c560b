/**
 * A fault breaks something, mends it again, and tells what shows that it had an effect: a fault that was only ordered proves
 * nothing. That is told by what the nodes themselves counted, by epochs that rose, by sessions that ended; never by the fault's
 * own return.
 */
import type { EpochChange } from "../src/verify/record.ts";
import type { Leaders } from "./leaders.ts";
import type { World } from "./world.ts";

export interface Scene {
  readonly world: World;
  readonly leaders: Leaders;
  /** Something is about to break: stalls are measured from here on. */
  readonly struck: () => void;
  /**
   * Waits until each of the conversations has an acknowledged send that was begun after the strike. What stalls from here on
   * is the mending's.
   */
  readonly recovered: (conversations: Iterable<string>) => Promise<void>;
}

export interface Effect {
  /** What was broken, in a few words. */
  readonly what: string;
  /** What shows that it had an effect. */
  readonly signs: readonly string[];
  /** Leaderships that went to others. */
  readonly epochs: readonly EpochChange[];
  /** What a signs' absence, or the mending, left wrong. */
  readonly problems: readonly string[];
}

export interface Fault {
  readonly name: string;
  readonly does: string;
  /** How long the worst conversation may do without an acknowledged send after the strike, where the design promises it. */
  readonly stallBoundMs?: number;
  /** Whether it may run beside another one. */
  readonly pairs: boolean;
  run(scene: Scene): Promise<Effect>;
}

/** What some nodes lead, and under which epochs. */
export async function ledBy(leaders: Leaders, nodes: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
  const all = await leaders.now();
  return new Map([...all].flatMap(([name, { leader, epoch }]) => (nodes.includes(leader) ? [[name, epoch] as const] : [])));
}

/** What shows that leaderships went to others. */
export function leadersMoved(what: string, led: ReadonlyMap<string, bigint>, epochs: readonly EpochChange[]): Effect {
  const problems: string[] = [];
  if (led.size === 0) problems.push("nothing was led there");
  if (epochs.length < led.size) problems.push(`${led.size - epochs.length} conversations were not led again`);
  return { what, signs: [`the epochs of ${epochs.length} conversations rose`], epochs, problems };
}

type Counters = Awaited<ReturnType<World["counters"]>>;

/** What nodes counted meanwhile. */
export function signsOf(what: string, before: Counters, after: Counters, names: readonly string[]): Effect {
  const risen = names.map((name) => ({ name, by: riseOf(before.get(name), after.get(name)) })).filter(({ by }) => by > 0);
  const problems = risen.length === 0 ? [`none of ${names.join(", ")} rose`] : [];
  return { what, signs: risen.map(({ name, by }) => `${name} +${by}`), epochs: [], problems };
}

/** A node that was started anew counts from 0 again. */
function riseOf(before: ReadonlyMap<string, number> = new Map(), after: ReadonlyMap<string, number> = new Map()): number {
  return [...after].reduce((sum, [node, count]) => {
    const former = before.get(node) ?? 0;
    return sum + (count >= former ? count - former : count);
  }, 0);
}
