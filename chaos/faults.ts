/** What befalls a cluster, on whatever ground it stands. */
import { sleep } from "../src/kernel/timing.ts";
import { clock } from "./clock.ts";
import { type Effect, type Fault, leadersMoved, ledBy, type Scene, signsOf } from "./effects.ts";
import type { GateState } from "./gate.ts";
import { LEASE, type World } from "./world.ts";

const LEADER_LOSS_MS = 1.1 * LEASE.ttlMs + 2_000;
const DRAIN_MS = 1_000;

export const FAULTS: readonly Fault[] = [
  {
    name: "kill-leader",
    does: "kill -9 of the node that leads most, and a new start",
    stallBoundMs: LEADER_LOSS_MS,
    pairs: true,
    run: async (scene) => {
      const { node, led } = await scene.leaders.busiest();
      const process = scene.world.node(node);
      scene.struck();
      await process.kill();
      const epochs = await scene.leaders.risen(led);
      await scene.recovered(led.keys());
      await process.start();
      return leadersMoved(`killed ${node}, which led ${led.size} conversations`, led, epochs);
    },
  },
  {
    name: "kill-region",
    does: "kill -9 of all nodes of the first region, and a new start",
    stallBoundMs: LEADER_LOSS_MS,
    pairs: false,
    run: async ({ world, leaders, struck, recovered }) => {
      const [region = ""] = world.regions;
      const nodes = world.nodesIn(region);
      const led = await ledBy(
        leaders,
        nodes.map(({ name }) => name),
      );
      struck();
      await Promise.all(nodes.map((node) => node.kill()));
      const epochs = await leaders.risen(led);
      await recovered(led.keys());
      await Promise.all(nodes.map((node) => node.start()));
      return leadersMoved(`killed the ${nodes.length} nodes of ${region}, which led ${led.size} conversations`, led, epochs);
    },
  },
  {
    name: "zombie-leader",
    does: "SIGSTOP of the node that leads most for twice the lease's TTL, then SIGCONT",
    stallBoundMs: LEADER_LOSS_MS,
    pairs: true,
    run: async ({ world, leaders, struck, recovered }) => {
      const { node, led } = await leaders.busiest();
      const process = world.node(node);
      struck();
      process.pause();
      const [epochs] = await Promise.all([leaders.risen(led), recovered(led.keys()), sleep(clock, 2 * world.lease.ttlMs)]);
      process.resume();
      await process.ready();
      return leadersMoved(`stopped ${node} for ${2 * world.lease.ttlMs} ms, which led ${led.size} conversations`, led, epochs);
    },
  },
  {
    name: "drain-leader",
    does: "SIGTERM of the node that leads most, and a new start",
    stallBoundMs: DRAIN_MS,
    pairs: true,
    run: async ({ world, leaders, struck, recovered }) => {
      const { node, led } = await leaders.busiest();
      const process = world.node(node);
      struck();
      const code = await process.stop();
      const epochs = await leaders.risen(led);
      await recovered(led.keys());
      await process.start();
      const effect = leadersMoved(
        `asked ${node} to stop, which led ${led.size} conversations; it ended with ${code}`,
        led,
        epochs,
      );
      return code === 0 ? effect : { ...effect, problems: [...effect.problems, `${node} ended with ${code}, not 0`] };
    },
  },
  {
    name: "cassandra-killed",
    does: "kill -9 of one data center of Cassandra for 10 s",
    pairs: true,
    run: (scene) => cassandraFault(scene, "kill", "up"),
  },
  {
    name: "cassandra-paused",
    does: "SIGSTOP of one data center of Cassandra for 10 s",
    pairs: true,
    run: (scene) => cassandraFault(scene, "pause", "resume"),
  },
  {
    name: "etcd-member-killed",
    does: "kill -9 of a member of etcd that does not lead, for 10 s",
    pairs: true,
    run: async (scene) => etcdFault(scene, [await mostUsedFollower(scene.world)], 10_000),
  },
  {
    name: "etcd-leader-killed",
    does: "kill -9 of etcd's leader, for 10 s",
    pairs: true,
    run: async (scene) => etcdFault(scene, [await scene.world.engines.etcd.leader()], 10_000),
  },
  {
    name: "etcd-killed",
    does: "kill -9 of all of etcd, for 30 s",
    pairs: false,
    run: (scene) => etcdFault(scene, scene.world.engines.etcd.names, 30_000),
  },
  {
    name: "compaction",
    does: "compaction of etcd while a node's watch is cut",
    pairs: false,
    run: async ({ world, leaders, struck }) => {
      const { node } = await leaders.busiest();
      const before = await world.counters();
      struck();
      shutEtcd(world, node, "cut");
      await sleep(clock, 500);
      const revision = await world.engines.etcd.compact();
      await sleep(clock, 500);
      shutEtcd(world, node, "open");
      await sleep(clock, 3_000);
      return signsOf(`cut ${node} from etcd while it was compacted up to revision ${revision}`, before, await world.counters(), [
        "watch.cut",
      ]);
    },
  },
  {
    name: "etcd-way-held",
    does: "the node that leads most hears nothing of etcd, and etcd nothing of it, for twice the TTL",
    pairs: true,
    run: (scene) => etcdWayFault(scene, "held"),
  },
  {
    name: "etcd-answers-held",
    does: "etcd hears the node that leads most, but its answers do not come back, for twice the TTL",
    pairs: true,
    run: (scene) => etcdWayFault(scene, "answers-held"),
  },
  {
    name: "client-cut",
    does: "all clients are cut from the gateway that most of them use, for 6 s",
    pairs: true,
    run: async ({ world, struck }) => {
      const { node, count: before } = await mostUsed(world);
      const gate = world.clientGates.get(node.name);
      struck();
      gate?.shut("cut");
      await sleep(clock, 6_000);
      // Of two faults at once the other one may have stopped it, or ended it with all its sessions.
      await node.ready();
      const after = node.isRunning ? (await node.status()).sessions : 0;
      gate?.shut("open");
      const what = `cut clients from ${node.name}`;
      const signs = [`its sessions went from ${before} to ${after}`];
      return { what, signs, epochs: [], problems: before > 0 && after === 0 ? [] : ["no session ended"] };
    },
  },
  {
    name: "everything-killed",
    does: "kill -9 of all nodes, all of Cassandra and all of etcd at once, and a new start",
    pairs: false,
    run: async ({ world, leaders, struck }) => {
      const led = await ledBy(
        leaders,
        world.nodes.map(({ name }) => name),
      );
      struck();
      const { engines, nodes } = world;
      await Promise.all([...nodes.map((node) => node.kill()), engines.cassandra.on("kill"), engines.etcd.kill()]);
      await Promise.all([engines.cassandra.on("up"), engines.etcd.up()]);
      await Promise.all(nodes.map((node) => node.start()));
      return leadersMoved(`killed ${nodes.length} nodes and all engines`, led, await leaders.risen(led));
    },
  },
];

async function cassandraFault(
  { world, leaders, struck }: Scene,
  strike: "kill" | "pause",
  mend: "up" | "resume",
): Promise<Effect> {
  const { node } = await leaders.busiest();
  const region = world.regionOf(node) ?? "";
  const dataCenter = world.engines.cassandra.dataCenters[world.regions.indexOf(region)] ?? "";
  const before = await world.counters();
  struck();
  await world.engines.cassandra.on(strike, dataCenter);
  await sleep(clock, 10_000);
  const during = await world.counters();
  await world.engines.cassandra.on(mend, dataCenter);
  const done = strike === "kill" ? "killed" : "stopped";
  return signsOf(`${done} ${dataCenter}, beside ${node}, which leads most`, before, during, [
    "cassandra.local-fallbacks",
    "cassandra.nodes-down",
    "store.writes.unknown",
  ]);
}

async function etcdFault({ world, struck }: Scene, members: readonly string[], lastsMs: number): Promise<Effect> {
  const before = await world.counters();
  struck();
  await world.engines.etcd.kill(...members);
  await sleep(clock, lastsMs);
  await world.engines.etcd.up(...members);
  await sleep(clock, world.lease.ttlMs);
  const names = ["etcd.disconnected", "etcd.suspected", "watch.cut", "lease.renewal-missed", "lease.ended"];
  return signsOf(`killed ${members.join(", ")} for ${lastsMs} ms`, before, await world.counters(), names);
}

/** The member that does not lead and that nodes ask most: the end of one that nobody asks matters less. */
async function mostUsedFollower(world: World): Promise<string> {
  const { etcd } = world.engines;
  const leader = await etcd.leader();
  const bytes = () => {
    const gates = [...world.etcdGates.values()].flat();
    return etcd.endpoints.map((endpoint) => gates.reduce((sum, gate) => sum + (gate.target === endpoint ? gate.bytes : 0), 0));
  };
  const before = bytes();
  await sleep(clock, 2 * world.lease.renewMs);
  const after = bytes();
  const asked = etcd.names.map((name, at) => ({ name, by: (after[at] ?? 0) - (before[at] ?? 0) }));
  const followers = asked.filter(({ name }) => name !== leader).sort((a, b) => b.by - a.by);
  return followers[0]?.name ?? leader;
}

async function etcdWayFault({ world, leaders, struck, recovered }: Scene, state: GateState): Promise<Effect> {
  const { node, led } = await leaders.busiest();
  struck();
  shutEtcd(world, node, state);
  const [epochs] = await Promise.all([leaders.risen(led), recovered(led.keys()), sleep(clock, 2 * world.lease.ttlMs)]);
  shutEtcd(world, node, "open");
  await world.node(node).ready();
  return leadersMoved(`shut the way between ${node} and etcd (${state}), which led ${led.size} conversations`, led, epochs);
}

function shutEtcd(world: World, node: string, state: GateState): void {
  for (const gate of world.etcdGates.get(node) ?? []) gate.shut(state);
}

/** The node with most sessions, of those that answer. */
async function mostUsed(world: World) {
  const asked = world.nodes.map(async (node) => ({ node, count: (await node.status()).sessions }));
  const answers = (await Promise.allSettled(asked)).flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  const [most] = answers.sort((a, b) => b.count - a.count);
  if (most === undefined) throw new Error("no node answers");
  return most;
}
