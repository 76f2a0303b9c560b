import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { MemoryCoordinator } from "../../../src/adapters/memory/coordinator.ts";
import { type IdBlock, type IdFloors, IdGenerator } from "../../../src/ids/generator.ts";
import { IdLayout } from "../../../src/ids/layout.ts";
import { Background } from "../../../src/kernel/background.ts";
import { sleep } from "../../../src/kernel/timing.ts";
import { Calls } from "../../../src/membership/calls.ts";
import { keys } from "../../../src/membership/keys.ts";
import { NodeLease } from "../../../src/membership/lease.ts";
import type { Clock, TimeReading } from "../../../src/ports/clock.ts";
import type { Txn } from "../../../src/ports/coordinator.ts";
import { LateCoordinator } from "../../support/late-coordinator.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

export const TTL_MS = 3_000;
const MARGIN_MS = 1_000;

/** One machine's view of the common virtual time: its UTC can be set, and be unknown. */
export class NodeClock implements Clock {
  readonly #time: VirtualClock;
  /** How far this machine's UTC is ahead of true time. */
  aheadMs = 0;
  /** How long this machine was suspended: its monotonic clock stood still, its timers did not fire. */
  suspendedMs = 0;
  errorMs = 1;
  unsynchronised: string | undefined;

  constructor(time: VirtualClock) {
    this.#time = time;
  }

  monotonicMs(): number {
    return this.#time.monotonicMs();
  }

  wallMs(): number {
    return this.#time.wallMs() + this.suspendedMs;
  }

  time(): TimeReading {
    if (this.unsynchronised !== undefined) return { synchronised: false, reason: this.unsynchronised };
    return { synchronised: true, utcMs: this.#time.wallMs() + this.aheadMs, errorMs: this.errorMs };
  }

  after(delayMs: number, fire: () => void): () => void {
    return this.#time.after(delayMs, fire);
  }

  nextTurn(): Promise<void> {
    return this.#time.nextTurn();
  }
}

/** One node's lease and ids, on its own machine. */
export class TestNode {
  readonly name: string;
  readonly clock: NodeClock;
  readonly way: LateCoordinator;
  readonly telemetry = new MemoryTelemetry();
  readonly ids: IdGenerator;
  readonly #background = new Background((what, error) => {
    throw new Error(`${what} failed: ${error.message}`, { cause: error });
  });
  #lease: NodeLease | undefined;

  constructor(name: string, time: VirtualClock, coordinator: MemoryCoordinator, seed: number, layout: IdLayout) {
    this.name = name;
    this.clock = new NodeClock(time);
    this.way = new LateCoordinator(coordinator, this.clock);
    this.ids = new IdGenerator({
      coordinator: this.way,
      clock: this.clock,
      random: new SeededRandom(seed),
      telemetry: this.telemetry,
      node: name,
      lease: { current: () => this.#lease },
      layout,
    });
  }

  get lease(): NodeLease | undefined {
    return this.#lease;
  }

  start(): void {
    this.#background.run("the lease", (signal) => this.#keepLease(signal));
    this.ids.start();
  }

  /** Gives its number back and lets its lease end. */
  async stop(): Promise<void> {
    await this.ids.stop();
    await this.#background.stop();
  }

  /** The machine is off: nothing of it reaches the coordinator any more, except what is on its way. */
  async kill(): Promise<void> {
    this.way.cut();
    this.#lease = undefined;
    await this.stop();
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    const { clock, telemetry } = this;
    while (!signal.aborted) {
      const calls = new Calls({ coordinator: this.way, clock, telemetry, deadlineMs: 500 });
      const read = await calls.survey("reading the placement", { ranges: [{ key: keys.placement }] });
      if ("header" in read) {
        calls.enter(read.header, 0, 0);
        this.#lease = await NodeLease.grant({
          calls,
          clock,
          telemetry,
          ttlMs: TTL_MS,
          renewMs: 300,
          marginMs: MARGIN_MS,
          obstacle: () => undefined,
          ended: () => {},
        }).catch(() => undefined);
        await this.#lease?.keep(signal);
      }
      await sleep(clock, 100, signal);
    }
  }
}

/** Nodes around one coordinator; every id that anybody issues is remembered, and none may come twice. */
export class IdWorld {
  readonly time = new VirtualClock();
  readonly coordinator = new MemoryCoordinator({ clock: this.time });
  readonly layout: IdLayout;
  /** Of each worker number's milliseconds the counters that were used, as runs. */
  readonly #issued = new Map<string, { readonly from: number; readonly to: number }[]>();
  #seed = 1;

  constructor(layout = new IdLayout()) {
    this.layout = layout;
  }

  node(name: string): TestNode {
    this.#seed += 1;
    return new TestNode(name, this.time, this.coordinator, this.#seed, this.layout);
  }

  /** A node that has its worker number. */
  async started(name: string): Promise<TestNode> {
    const node = this.node(name);
    node.start();
    await this.time.advance(0);
    for (let tries = 0; typeof node.ids.worker() !== "number" && tries < 40; tries += 1) await this.time.advance(50);
    return node;
  }

  /** As the node's `block`; what it issues is checked against all that anybody issued before, and against the log's floor. */
  block(node: TestNode, count: number, floors: Partial<IdFloors> = {}): IdBlock {
    const above = { log: 0n, client: 0n, ...floors };
    const block = node.ids.block(count, above);
    if (block.kind !== "block") return block;
    if (block.first <= above.log) throw new Error(`${block.first} is not above the conversation's last id ${above.log}`);
    const { utcMs, worker, counter: from } = this.layout.decompose(block.first);
    const to = from + count - 1;
    if (to >= this.layout.counters) throw new Error("a block reaches into a second millisecond");
    const place = `${worker} at ${utcMs}`;
    const runs = this.#issued.get(place) ?? [];
    if (runs.some((run) => from <= run.to && to >= run.from)) throw new Error(`${node.name} issued ${block.first} a second time`);
    this.#issued.set(place, [...runs, { from, to }]);
    return block;
  }

  /** A block's first id; fails if there is none at this moment. */
  take(node: TestNode, count = 1, floors: Partial<IdFloors> = {}): bigint {
    const block = this.block(node, count, floors);
    if (block.kind !== "block") throw new Error(`no block but ${JSON.stringify(block)}`);
    return block.first;
  }

  /** Waits as it is told until there is a block; answers its first id. */
  async takeSoon(node: TestNode, count = 1, floors: Partial<IdFloors> = {}): Promise<bigint> {
    for (let tries = 0; tries < 1_000; tries += 1) {
      const block = this.block(node, count, floors);
      if (block.kind === "block") return block.first;
      if (block.kind === "refused") throw block.error;
      await this.time.advance(block.ms);
    }
    throw new Error("there was no block after 1,000 waits");
  }

  utcMsOf(id: bigint): number {
    return this.layout.decompose(id).utcMs;
  }
}

/** Whether the transaction stores a fence. */
export function isFence(txn: Txn): boolean {
  return (txn.puts ?? []).some(({ key }) => key.endsWith("/fence"));
}

/** Whether the transaction claims a worker number. */
export function isClaim(txn: Txn): boolean {
  return (txn.puts ?? []).some(({ key }) => /\/workers\/\d+$/.test(key));
}
