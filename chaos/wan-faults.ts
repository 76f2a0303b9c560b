/** What befalls a wide area: ways between regions are cut, in both directions or in one, while every server runs on. */
import type { Wan } from "../scripts/engines/wan.mjs";
import { LIMITS } from "../src/kernel/limits.ts";
import { sleep } from "../src/kernel/timing.ts";
import { clock } from "./clock.ts";
import { type Effect, type Fault, leadersMoved, ledBy, type Scene, signsOf } from "./effects.ts";
import type { Lease } from "./world.ts";

/** From `from`, to `to`. */
type Way = readonly [from: string, to: string];

/** What nodes count when they miss members of etcd or nodes of Cassandra. */
const MISSED = ["etcd.suspected", "watch.cut", "lease.renewal-missed", "lease.ended", "cassandra.nodes-down"];

/** As nodes have it by default: its margin outlasts an election of etcd over the world. */
export const WAN_LEASE: Lease = { ttlMs: LIMITS.leaseTtlMs, marginMs: LIMITS.leaseMarginMs, renewMs: LIMITS.leaseRenewMs };

/**
 * Where etcd's leader is lost as well. Its successor, which is there after two election timeouts and a few round trips, gives every
 * lease its whole TTL anew and one election timeout more; then the shards are claimed, over round trips as well.
 */
const ELECTION_MS = 6_000;

const STALL_BOUND_MS = 1.1 * WAN_LEASE.ttlMs + ELECTION_MS;

export const WAN_FAULTS: readonly Fault[] = [
  {
    name: "region-cut-off",
    does: "the region that leads least is cut off from both others for 20 s",
    stallBoundMs: STALL_BOUND_MS,
    pairs: false,
    run: async (scene) => {
      const { region, led } = (await byLed(scene)).at(-1) as Leading;
      return missed(scene, `cut off ${region}, which led ${led.size} conversations, for 20 s`, around(scene, region));
    },
  },
  {
    name: "leading-region-isolated",
    does: "the region that leads most, and etcd, is cut off from both others for 30 s; clients still reach it",
    stallBoundMs: STALL_BOUND_MS,
    pairs: false,
    run: async (scene) => {
      const { world, leaders, struck, recovered } = scene;
      const { region, led } = (await byLed(scene))[0] as Leading;
      await world.engines.etcd.lead(world.regions.indexOf(region));
      struck();
      const cut = cutFor(scene, around(scene, region), 30_000);
      const [sign, epochs] = await Promise.all([cut, leaders.risen(led), recovered(led.keys())]);
      await Promise.all(world.nodesIn(region).map((node) => node.ready()));
      const what = `isolated ${region}, which led ${led.size} conversations and etcd, for 30 s`;
      const effect = leadersMoved(what, led, epochs);
      return { ...effect, signs: [sign, ...effect.signs] };
    },
  },
  {
    name: "one-way-cut",
    does: "what the region that leads most sends to the nearest one is lost for 20 s; the way back is open",
    stallBoundMs: STALL_BOUND_MS,
    pairs: false,
    run: async (scene) => {
      const { region: from, led } = (await byLed(scene))[0] as Leading;
      const farMs = (region: string) => wanOf(scene).oneWayMs(from, region);
      const [to = ""] = othersThan(scene, from).sort((a, b) => farMs(a) - farMs(b));
      return missed(scene, `cut the way from ${from}, which led ${led.size} conversations, to ${to} for 20 s`, [[from, to]]);
    },
  },
];

interface Leading {
  readonly region: string;
  readonly led: ReadonlyMap<string, bigint>;
}

/** The regions, the one that leads most first. */
async function byLed({ world, leaders }: Scene): Promise<readonly Leading[]> {
  const asked = world.regions.map(async (region) => {
    const nodes = world.nodesIn(region).map(({ name }) => name);
    return { region, led: await ledBy(leaders, nodes) };
  });
  return (await Promise.all(asked)).sort((a, b) => b.led.size - a.led.size);
}

/** All ways from a region and to it. Clients are in none, so they reach it all the time. */
function around(scene: Scene, region: string): readonly Way[] {
  return othersThan(scene, region).flatMap((other): Way[] => [
    [region, other],
    [other, region],
  ]);
}

function othersThan({ world }: Scene, region: string): string[] {
  return world.regions.filter((other) => other !== region);
}

/** Answers what shows that it was cut. */
async function cutFor(scene: Scene, ways: readonly Way[], lastsMs: number): Promise<string> {
  const wan = wanOf(scene);
  const before = await thrownAway(wan);
  for (const [from, to] of ways) await wan.cut(from, to);
  await sleep(clock, lastsMs);
  const lost = (await thrownAway(wan)) - before;
  await wan.heal();
  return `${lost} packets were thrown away`;
}

/** Leaders need not change: what nodes missed meanwhile shows that it has bitten. */
async function missed(scene: Scene, what: string, ways: readonly Way[]): Promise<Effect> {
  const { world, struck } = scene;
  const before = await world.counters();
  struck();
  const sign = await cutFor(scene, ways, 20_000);
  await Promise.all(world.nodes.map((node) => node.ready()));
  const effect = signsOf(what, before, await world.counters(), MISSED);
  return { ...effect, signs: [sign, ...effect.signs] };
}

function wanOf({ world: { wan } }: Scene): Wan {
  if (wan === undefined) throw new Error("these faults need a wide area");
  return wan;
}

/** Packets that cuts have thrown away so far. */
async function thrownAway(wan: Wan): Promise<number> {
  const links: readonly { readonly cut: number }[] = await wan.links();
  return links.reduce((sum, { cut }) => sum + cut, 0);
}
