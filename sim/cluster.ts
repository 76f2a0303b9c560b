/** The world of one history: regions with nodes and replicas, a coordinator, and the clients, all on one virtual time. */
import { LIMITS } from "../src/kernel/limits.ts";
import { MeridianNode } from "../src/node/node.ts";
import { Actor } from "./actor.ts";
import { VirtualClock } from "./clock.ts";
import { Road, type RoadWorks } from "./coordinator.ts";
import { Etcd } from "./etcd.ts";
import { Lengths } from "./lengths.ts";
import { Links } from "./links.ts";
import { SimLogStore, type Store } from "./log-store.ts";
import { MemoryNetwork } from "./network.ts";
import { NodeTelemetry } from "./node-telemetry.ts";
import type { NodePlan, Plan } from "./plan.ts";
import { Process } from "./process.ts";
import { EPOCH_MS, ProcessClock } from "./process-clock.ts";
import { SeededRandom } from "./random.ts";
import { Recorder } from "./recorder.ts";
import { Replica } from "./replica.ts";
import { Trace } from "./trace.ts";
import { Witness } from "./witness.ts";

/** Which parts draw their luck apart, so that a smaller plan changes as little as possible of what is left. */
const STREAMS = ["links", "store", "etcd", "nodes", "actors"] as const;

/** A node's present process. */
export interface RunningNode {
  readonly name: string;
  readonly process: Process;
  readonly clock: ProcessClock;
  readonly road: Road;
  readonly node: MeridianNode;
  close(): void;
}

export class Cluster {
  readonly plan: Plan;
  readonly clock = new VirtualClock();
  readonly trace = new Trace(this.clock);
  readonly witness: Witness;
  readonly links: Links;
  readonly network: MemoryNetwork;
  readonly etcd: Etcd;
  readonly store: Store;
  readonly works: RoadWorks;
  readonly recorder: Recorder;
  readonly nodes = new Map<string, RunningNode>();
  readonly actors: readonly Actor[];
  readonly random: Readonly<Record<(typeof STREAMS)[number], SeededRandom>>;
  #bornNodes = 0;

  constructor(plan: Plan) {
    this.plan = plan;
    const { clock } = this;
    const isHonest = !plan.faults.some(({ kind }) => kind === "lie");
    const latestIdMs = () => EPOCH_MS + clock.monotonicMs() + LIMITS.clockErrorMs + LIMITS.idLeadMs;
    this.witness = new Witness(isHonest ? latestIdMs : undefined);
    const { witness } = this;
    const lengths = new Lengths((sentence) => witness.breach("G9", sentence));
    clock.watch(() => lengths.look());
    const streams = STREAMS.map((name, i) => [name, new SeededRandom(Math.imul(plan.seed, 0x9e3779b1) + i)]);
    this.random = Object.fromEntries(streams) as Record<(typeof STREAMS)[number], SeededRandom>;
    const { random } = this;
    this.links = new Links(random.links, plan.regions, () => plan.linkMsMin + random.links.below(plan.linkMsSpread + 1));
    this.network = new MemoryNetwork({
      clock,
      latencyMs: (from, to) => this.links.delayMs(from, to),
      open: (from, to) => this.links.open(from, to),
      telemetry: new NodeTelemetry("the network", this.trace, witness),
    });
    this.etcd = new Etcd(clock, random.etcd, plan.leaseLateMs ?? 1_500);
    this.store = {
      replicas: plan.regions.flatMap((region) =>
        Array.from({ length: plan.replicasPerRegion }, (_, i) => new Replica(`${region}-r${i + 1}`)),
      ),
      clock,
      links: this.links,
      random: random.store,
      trouble: { lost: 0, unheard: 0, late: 0 },
      skewMs: 0,
      hintMs: plan.hintMs,
      hinted: plan.hinted,
      seen: (row) => witness.row(row),
    };
    this.works = {
      etcd: this.etcd,
      clock,
      links: this.links,
      random: random.etcd,
      missed: (place, from, toldUpTo) =>
        witness.breach("bug", `${place} watches from revision ${from} on, and was told of changes up to ${toldUpTo} only`),
      trouble: { unknown: 0, busy: 0 },
      lateMs: plan.lateTxnMs,
    };
    this.recorder = new Recorder(this.trace, plan.regions, plan.conversations);
    this.actors = plan.actors.map((actor) => new Actor(this, actor));
  }

  /** Links have changed: calls under way hold or go on. */
  rewire(): void {
    this.network.refresh();
  }

  boot(plan: NodePlan): void {
    const { clock, network } = this;
    const { name, region } = plan;
    const process = new Process(name, clock);
    const own = new ProcessClock(clock, process, plan);
    const road = new Road(this.works, process);
    this.#bornNodes += 1;
    const node = new MeridianNode({
      node: name,
      region,
      regions: this.plan.regions,
      address: `${name}:1`,
      version: "0.0.0",
      bodyBytesMax: LIMITS.bodyBytes,
      lease: {
        ttlMs: LIMITS.embeddedLeaseTtlMs,
        renewMs: LIMITS.embeddedLeaseRenewMs,
        marginMs: LIMITS.embeddedLeaseMarginMs,
      },
      coordinator: road,
      store: new SimLogStore(this.store, process),
      network: network.from(name, process.enter),
      clock: own,
      random: new SeededRandom(Math.imul(this.plan.seed, 31) + 1_000 * this.#bornNodes),
      telemetry: new NodeTelemetry(
        name,
        this.trace,
        this.witness,
        () => this.witness.leaders(this.nodes.values()),
        expectedOf(this.plan),
      ),
      counters: () => new Map(),
    });
    const services = [...node.services.clients, ...node.services.peers];
    const server = network.serve(`${name}:1`, services, { enter: process.enter, timers: own });
    this.nodes.set(name, { name, process, clock: own, road, node, close: () => server.close() });
    // It goes on trying for a minute, and whoever watches over processes starts it again.
    node.start().catch((error: unknown) => {
      if (process.dead || this.nodes.get(name)?.process !== process) return;
      this.trace.say(`${name} gives up starting: ${String(error)}`);
      this.#bury(name);
      clock.after(1_000, () => this.#rise(plan));
    });
  }

  #rise(plan: NodePlan): void {
    if (!this.nodes.has(plan.name)) this.boot(plan);
  }

  /** The process is gone, from one instant to the next. `silently`: its peers' connections do not notice. */
  crash(name: string, silently: boolean): void {
    const running = this.nodes.get(name);
    if (running === undefined) return;
    if (silently) this.network.halfBreakStreams(name);
    this.#bury(name);
  }

  #bury(name: string): void {
    const running = this.nodes.get(name);
    running?.process.kill();
    running?.close();
    this.nodes.delete(name);
  }

  /** Starts what is not running. */
  revive(name: string): void {
    const plan = this.plan.nodes.find((node) => node.name === name);
    if (plan !== undefined) this.#rise(plan);
  }

  /** An operator stops it: it hands everything over first. */
  async leave(name: string): Promise<void> {
    const running = this.nodes.get(name);
    if (running === undefined) return;
    await running.node.stop();
    if (this.nodes.get(name) === running) this.#bury(name);
  }
}

/** What nodes may rightly complain of: a coordinator whose incarnation was forgotten when it was restored, and damaged rows. */
function expectedOf({ faults }: Plan): ReadonlySet<string> {
  const isRewound = faults.some((fault) => fault.kind === "restore" && !fault.byTheBook);
  const isDamaged = faults.some(({ kind }) => kind === "damage");
  return new Set([...(isRewound ? ["coordinator.rewound"] : []), ...(isDamaged ? ["log.row_damaged"] : [])]);
}
