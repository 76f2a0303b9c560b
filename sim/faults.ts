import { MeridianError } from "../src/kernel/errors.ts";
import type { Cluster, RunningNode } from "./cluster.ts";
import { regionOf } from "./links.ts";
import type { Pick } from "./picks.ts";
import type { Fault, FaultKind } from "./plan.ts";
import type { Replica } from "./replica.ts";

type Undo = () => void;
type Of<K extends FaultKind> = Extract<Fault, { kind: K }>;

interface Doing<K extends FaultKind> {
  /** In words: `east is lost`. */
  readonly say: (fault: Of<K>) => string;
  /** Answers how it is undone, if it lasts. */
  readonly begin: (cluster: Cluster, fault: Of<K>) => Undo | undefined;
}

/** Every fault that the world knows: what is said of it, and what is done. */
const FAULTS: { readonly [K in FaultKind]: Doing<K> } = {
  cut: {
    say: ({ from, to, bothWays }) => `nothing passes from ${from} to ${to}${bothWays ? ", nor back" : ""}`,
    begin: (cluster, { from, to, bothWays }) => {
      const mend = [cluster.links.cut({ from, to }), ...(bothWays ? [cluster.links.cut({ from: to, to: from })] : [])];
      cluster.rewire();
      return () => {
        for (const undo of mend) undo();
        cluster.rewire();
      };
    },
  },
  slow: {
    say: ({ from, to, extraMs }) => `the way from ${from} to ${to} takes ${extraMs} ms longer`,
    begin: (cluster, { from, to, extraMs }) => cluster.links.slow(from, to, extraMs),
  },
  reset: {
    say: ({ place }) => `the connections of ${place} are reset`,
    begin: (cluster, { place }) => void cluster.network.breakStreams(place),
  },
  "half-open": {
    say: ({ place }) => `the connections of ${place} are gone, and their other ends do not know`,
    begin: (cluster, { place }) => void cluster.network.halfBreakStreams(place),
  },
  crash: {
    say: ({ node }) => `${node} is killed`,
    begin: (cluster, { node }) => {
      cluster.crash(node, false);
      return () => cluster.revive(node);
    },
  },
  leave: {
    say: ({ node }) => `${node} is asked to stop`,
    begin: (cluster, { node }) => {
      const breach = (error: unknown) => cluster.witness.breach("bug", `${node} did not stop: ${String(error)}`);
      const left = cluster.leave(node).catch(breach);
      return () => {
        cluster.revive(node);
        // It may still be stopping: whoever wants it to run starts it again once it has.
        void left.then(() => cluster.revive(node));
      };
    },
  },
  pause: {
    say: ({ node }) => `${node} is paused`,
    begin: (cluster, { node }) =>
      onNode(cluster, node, ({ process }) => {
        process.pause();
        return () => process.resume();
      }),
  },
  "pause-at": {
    say: ({ node, moment, ...pick }) => `${node} will be paused at ${sayPick(moment, pick)}`,
    begin: (cluster, fault) => stopAt(cluster, fault, "is paused"),
  },
  "suspend-at": {
    say: ({ node, moment, ...pick }) => `the machine of ${node} will be suspended at ${sayPick(moment, pick)}`,
    begin: (cluster, fault) => stopAt(cluster, fault, "is suspended with its machine"),
  },
  "crash-at": {
    say: ({ node, moment, ...pick }) => `${node} will be killed at ${sayPick(moment, pick)}`,
    begin: (cluster, { node, moment, forMs, ...pick }) =>
      onNode(cluster, node, ({ process }) => {
        process.arm(moment, pick, () => {
          cluster.trace.say(`${node} is killed, at its ${moment}, for ${forMs} ms`);
          cluster.crash(node, false);
          cluster.clock.after(forMs, () => cluster.revive(node));
        });
        return undefined;
      }),
  },
  copies: {
    say: ({ node, of, reach, lateMs, ...pick }) =>
      `${node}'s ${sayPick(of, pick)} will reach ${reach.join(" and ") || "nobody"}, ` +
      `and the others ${lateMs > 0 ? `${lateMs} ms later` : "never"}`,
    begin: (cluster, { node, of, reach, lateMs, ...pick }) =>
      onNode(cluster, node, ({ process }) => void process.copies.add(of, pick, { reach, lateMs })),
  },
  "lose-txn": {
    say: ({ node, landMs, answerMs, ...pick }) =>
      `the answer to ${node}'s ${sayPick("transaction", pick)} will be lost, and known to be so after ${answerMs} ms; ` +
      `it lands ${landMs < 0 ? "never" : `after ${landMs} ms`}`,
    begin: (cluster, { node, landMs, answerMs, ...pick }) =>
      onNode(cluster, node, ({ process }) => void process.txns.add("txn", pick, { landMs, answerMs })),
  },
  suspend: {
    say: ({ node }) => `the machine of ${node} is suspended`,
    begin: (cluster, { node }) =>
      onNode(cluster, node, ({ process, clock }) => {
        clock.suspend();
        process.pause();
        return () => {
          clock.wake();
          process.resume();
        };
      }),
  },
  freeze: {
    say: ({ node }) => `the wall clock of ${node} stands still`,
    begin: (cluster, { node }) =>
      onNode(cluster, node, ({ clock }) => {
        clock.freezeWall();
        return () => clock.thawWall();
      }),
  },
  unsynchronised: {
    say: ({ node }) => `${node} loses its time servers`,
    begin: (cluster, { node }) =>
      onNode(cluster, node, ({ clock }) => {
        clock.synchronised(false);
        return () => clock.synchronised(true);
      }),
  },
  step: {
    say: ({ node, byMs }) => `the wall clock of ${node} steps by ${byMs} ms`,
    begin: (cluster, { node, byMs }) =>
      onNode(cluster, node, ({ clock }) => {
        clock.stepWall(byMs);
        return undefined;
      }),
  },
  lie: {
    say: ({ node, byMs }) => `the time servers of ${node} are wrong by ${byMs} ms, and do not know it`,
    begin: (cluster, { node, byMs }) =>
      onNode(cluster, node, ({ clock }) => {
        clock.lie(byMs);
        return () => clock.lie(0);
      }),
  },
  "watch-cut": {
    say: ({ node }) => `the watches of ${node} are cut`,
    begin: (cluster, { node }) =>
      onNode(cluster, node, ({ road }) => {
        road.cutWatches(new MeridianError("UNAVAILABLE", "the watch was cut"));
        return undefined;
      }),
  },
  "watch-lag": {
    say: ({ node, lagMs }) => `${node} hears of changes ${lagMs} ms late`,
    begin: (cluster, { node, lagMs }) =>
      onNode(cluster, node, ({ road }) => {
        road.lagMs = lagMs;
        return () => {
          road.lagMs = 0;
        };
      }),
  },
  "region-lost": {
    say: ({ region }) => `${region} loses its power`,
    begin: (cluster, { region }) => {
      const nodes = cluster.plan.nodes.filter((node) => node.region === region);
      const replicas = cluster.store.replicas.filter(({ place }) => regionOf(place) === region);
      for (const { name } of nodes) cluster.crash(name, true);
      for (const replica of replicas) {
        replica.losePower();
        replica.stop();
      }
      return () => {
        for (const replica of replicas) replica.start();
        for (const { name } of nodes) cluster.revive(name);
      };
    },
  },
  "replica-down": {
    say: ({ replica }) => `the replica ${replica} is out of reach`,
    begin: (cluster, fault) => {
      const replica = replicaOf(cluster, fault);
      replica?.stop();
      return () => replica?.start();
    },
  },
  "power-loss": {
    say: ({ replica }) => `the replica ${replica} loses its power, and what was not on its disk`,
    begin: (cluster, fault) => {
      const replica = replicaOf(cluster, fault);
      replica?.losePower();
      replica?.stop();
      return () => replica?.start();
    },
  },
  "disk-loss": {
    say: ({ replica }) => `the replica ${replica} gets an empty disk, and nobody repairs it`,
    begin: (cluster, fault) => void replicaOf(cluster, fault)?.loseDisk(),
  },
  damage: {
    say: ({ replica, about }) => `the replica ${replica} gives back damaged what it has of ${about}`,
    begin: (cluster, fault) => replicaOf(cluster, fault)?.damage(fault.about),
  },
  "store-step": {
    say: ({ byMs }) => `the store's clock steps by ${byMs} ms`,
    begin: (cluster, { byMs }) => {
      cluster.store.skewMs += byMs;
      return undefined;
    },
  },
  "store-trouble": {
    say: ({ lost, unheard, late }) => `of 100 copies of a write ${lost} are lost, ${unheard} not confirmed and ${late} late`,
    begin: (cluster, { lost, unheard, late }) => {
      cluster.store.trouble = { lost, unheard, late };
      return () => {
        cluster.store.trouble = { lost: 0, unheard: 0, late: 0 };
      };
    },
  },
  "txn-trouble": {
    say: ({ unknown, busy }) => `of 100 transactions ${unknown} have no answer and may land late, and ${busy} are refused`,
    begin: (cluster, { unknown, busy }) => {
      cluster.works.trouble = { unknown, busy };
      return () => {
        cluster.works.trouble = { unknown: 0, busy: 0 };
      };
    },
  },
  elect: {
    say: ({ hears }) =>
      `the coordinator elects another leader${hears.length > 0 ? `; ${hears.join(", ")} still hear the former one` : ""}`,
    begin: (cluster, { hears, forMs }) => void cluster.etcd.elect((place) => hears.includes(place), forMs),
  },
  "no-etcd": {
    say: () => "the coordinator has no leader",
    begin: (cluster) => cluster.etcd.silence(),
  },
  backup: {
    say: () => "a backup of the coordinator is made",
    begin: (cluster) => void cluster.etcd.backUp(),
  },
  restore: {
    say: ({ byTheBook }) =>
      `all nodes are killed, and the coordinator is restored from its backup${byTheBook ? "" : ", and nobody raises the incarnation"}`,
    begin: (cluster, { byTheBook }) => {
      for (const { name } of cluster.plan.nodes) cluster.crash(name, false);
      cluster.etcd.restore(byTheBook);
      return () => {
        for (const { name } of cluster.plan.nodes) cluster.revive(name);
      };
    },
  },
  compact: {
    say: () => "the coordinator forgets its history, and cuts the watches",
    begin: (cluster) => {
      cluster.etcd.compact();
      for (const { road } of cluster.nodes.values()) road.cutWatches(new MeridianError("UNAVAILABLE", "the watch was cut"));
      return undefined;
    },
  },
};

/** They only lie in wait, or their time means something else. */
const LAID_OUT: ReadonlySet<FaultKind> = new Set(["pause-at", "suspend-at", "crash-at", "copies", "lose-txn", "elect"]);

/** Begins a fault, and ends it in its time. */
export function befall(cluster: Cluster, fault: Fault): void {
  const { say, begin } = FAULTS[fault.kind] as Doing<FaultKind>;
  const lasting = fault.forMs > 0 && !LAID_OUT.has(fault.kind);
  cluster.trace.say(`FAULT: ${say(fault as never)}${lasting ? `, for ${fault.forMs} ms` : ""}`);
  const undo = begin(cluster, fault as never);
  if (undo === undefined) return;
  cluster.clock.after(fault.forMs, () => {
    cluster.trace.say(`over: ${say(fault as never)}`);
    undo();
  });
}

export function sayFault(fault: Fault): string {
  return (FAULTS[fault.kind] as Doing<FaultKind>).say(fault as never);
}

/** Between a decision and its sending, or between an answer and its hearing: where a stop hurts most. */
function stopAt(cluster: Cluster, fault: Of<"pause-at" | "suspend-at">, how: string): undefined {
  const { kind, node, moment, forMs, timersLast, ...pick } = fault;
  onNode(cluster, node, ({ process, clock }) => {
    process.arm(moment, pick, () => {
      process.pause();
      if (kind === "suspend-at") clock.suspend();
      cluster.trace.say(`${node} ${how}, at its ${moment}, for ${forMs} ms`);
      cluster.clock.after(forMs, () => {
        if (process.paused) cluster.trace.say(`${node} goes on${timersLast ? ", and looks at its timers last" : ""}`);
        clock.wake();
        process.resume(timersLast);
      });
    });
    return undefined;
  });
  return undefined;
}

/** `next append about x, after 2 more`. */
function sayPick(what: string, { about, skip = 0, count = 1 }: Pick): string {
  const which = count === 1 ? `next ${what}` : `next ${count} × ${what}`;
  return `${which}${about === undefined ? "" : ` about ${about}`}${skip === 0 ? "" : `, after ${skip} more`}`;
}

function replicaOf({ store }: Cluster, { replica }: { readonly replica: string }): Replica | undefined {
  return store.replicas.find(({ place }) => place === replica);
}

/** What befalls a process that is not there befalls nobody; its undoing is for that very process. */
function onNode(cluster: Cluster, name: string, act: (node: RunningNode) => Undo | undefined): Undo | undefined {
  const node = cluster.nodes.get(name);
  return node === undefined ? undefined : act(node);
}
