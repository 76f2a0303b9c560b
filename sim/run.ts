/**
 * Runs one plan: first the faults, while clients work (safety), then everything heals, and all must come to an end in a
 * stated time (liveness): every send has its outcome, every reader is at the head.
 */
import { Cluster } from "./cluster.ts";
import { befall } from "./faults.ts";
import type { Operation, Plan } from "./plan.ts";
import type { Step } from "./trace.ts";
import type { Breach } from "./witness.ts";

/** After the last fault. Sends may take their whole minute, silent connections a quarter, late hints and leases the rest. */
const HEALED_MS = 150_000;
const LOOK_MS = 250;
const BOOT_MS = 6_000;

export interface Result {
  readonly plan: Plan;
  readonly breaches: readonly Breach[];
  readonly steps: readonly Step[];
  readonly trace: string;
  readonly events: number;
  /** How often each thing happened, to see that histories try something. */
  readonly tally: Readonly<Record<string, number>>;
}

export async function run(plan: Plan): Promise<Result> {
  const cluster = new Cluster(plan);
  const { clock, witness, trace } = cluster;
  try {
    for (const node of plan.nodes) cluster.boot(node);
    for (const actor of cluster.actors) actor.start();
    await clock.advance(BOOT_MS);
    for (const fault of plan.faults) clock.after(fault.atMs, () => befall(cluster, fault));
    for (const actor of cluster.actors) {
      for (const reading of actor.readings)
        if (reading.plan.fromMs !== undefined) clock.after(reading.plan.fromMs, () => actor.join(reading));
    }
    for (const operation of plan.operations) clock.after(operation.atMs, () => operate(cluster, operation));
    await passing(cluster, plan.troubledMs, () => false);
    heal(cluster);
    const done = await passing(cluster, HEALED_MS, () => finished(cluster));
    if (!done && witness.breaches.length === 0)
      witness.breach("G9", `${HEALED_MS / 1_000} s after everything healed ${unfinished(cluster)}`);
    await conclude(cluster, done);
  } catch (error) {
    witness.breach("bug", `the simulator stopped: ${error instanceof Error ? error.stack : String(error)}`);
  }
  const steps = trace.steps;
  const count = (pattern: RegExp) => steps.reduce((sum, { text }) => sum + (pattern.test(text) ? 1 : 0), 0);
  return {
    plan,
    breaches: witness.breaches,
    steps,
    trace: trace.toString(),
    events: clock.events,
    tally: {
      leaders: count(/ leads /),
      leaderChanges: leaderChanges(steps),
      regionsLost: plan.faults.filter(({ kind }) => kind === "region-lost").length,
      sends: count(/ sends /),
      committed: count(/: committed at/),
      unknown: count(/: unknown$/),
      deliveries: count(/ is handed /),
      healedMs: clock.monotonicMs(),
    },
  };
}

/** Lets time pass, looking at all leaders now and then; true as soon as `done`. Ends early at a breach. */
async function passing(cluster: Cluster, durationMs: number, done: () => boolean): Promise<boolean> {
  const endMs = cluster.clock.monotonicMs() + durationMs;
  while (cluster.clock.monotonicMs() < endMs) {
    await cluster.clock.advance(LOOK_MS);
    cluster.witness.leaders(cluster.nodes.values());
    if (cluster.witness.breaches.length > 0) return false;
    if (done()) return true;
  }
  return false;
}

function operate(cluster: Cluster, operation: Operation): void {
  if (cluster.witness.breaches.length > 0) return;
  if (operation.kind === "move") return move(cluster, operation.conversation, operation.region);
  const actor = cluster.actors.find(({ plan }) => plan.name === operation.actor);
  if (operation.kind === "restart") actor?.restart();
  else if (operation.kind === "unary") actor?.caller.send(operation);
  else actor?.send(operation);
}

/** An operator asks any node that runs. */
function move(cluster: Cluster, conversation: string, region: string): void {
  const running = [...cluster.nodes.values()].find(({ process }) => !process.paused);
  if (running === undefined) return;
  cluster.trace.say(`an operator asks ${running.name} to move ${conversation} to ${region}`);
  const told = (how: string) => cluster.trace.say(`moving ${conversation} to ${region}: ${how}`);
  running.process.enter(() => {
    running.node.leaders.move(conversation, region).then(
      () => told("done"),
      (error: Error) => told(error.message),
    );
  });
}

function heal(cluster: Cluster): void {
  cluster.trace.say("EVERYTHING HEALS");
  cluster.links.healAll();
  cluster.etcd.heal();
  cluster.store.trouble = { lost: 0, unheard: 0, late: 0 };
  cluster.works.trouble = { unknown: 0, busy: 0 };
  cluster.rewire();
  for (const { process, clock, road } of cluster.nodes.values()) {
    process.disarm();
    clock.wake();
    clock.correct();
    process.resume();
    road.lagMs = 0;
  }
  for (const { name } of cluster.plan.nodes) cluster.revive(name);
  for (const actor of cluster.actors) actor.resolve();
}

function finished(cluster: Cluster): boolean {
  return unfinished(cluster) === "";
}

/** In words; empty when nothing is left to do. */
function unfinished(cluster: Cluster): string {
  const left = cluster.actors.flatMap((actor) => [
    ...(actor.pending > 0 ? [`${actor.pending} sends of ${actor.plan.name} have no outcome`] : []),
    ...actor.readings.flatMap(({ plan, position }) => {
      const head = headOf(cluster, plan.conversation);
      if (head === undefined) return [`nobody leads ${plan.conversation}`];
      return position < head ? [`${actor.plan.name} is at ${plan.conversation}#${position} of ${head}`] : [];
    }),
  ]);
  return left.join("; ");
}

function headOf(cluster: Cluster, conversation: string): number | undefined {
  for (const { node } of cluster.nodes.values()) {
    const leader = node.conversations.led().find(({ tenure }) => tenure.conversation === conversation && tenure.look());
    if (leader !== undefined) return leader.head.seq;
  }
  return undefined;
}

/** The last lines of the record, and its judgement. */
async function conclude(cluster: Cluster, done: boolean): Promise<void> {
  const { recorder, witness, actors } = cluster;
  for (const actor of actors) {
    for (const reading of actor.readings) {
      reading.attest();
      if (done) reading.passOver(reading.position);
    }
  }
  if (!done) return;
  for (const { guarantee, violations } of recorder.finish()) {
    // A plan that was made smaller may have no reader in a region: that is no loss.
    const first = violations.find(({ sentence }) => !sentence.startsWith("nobody read"));
    if (first === undefined) continue;
    // An id that a lying clock pushed into the future is cut to what an honest one could have made (§7): G8 ends there.
    if (guarantee === "G8" && cluster.plan.faults.some(({ kind }) => kind === "lie")) continue;
    witness.breach(guarantee, first.sentence);
  }
}

/** How often a conversation got another node as its leader. */
function leaderChanges(steps: readonly Step[]): number {
  const leaders = new Map<string, string>();
  let changes = 0;
  for (const { text } of steps) {
    const [, node, conversation] = /^(\S+) leads (\S+) /.exec(text) ?? [];
    if (node === undefined || conversation === undefined) continue;
    if (leaders.has(conversation) && leaders.get(conversation) !== node) changes += 1;
    leaders.set(conversation, node);
  }
  return changes;
}
