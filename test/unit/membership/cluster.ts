import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { MemoryCoordinator } from "../../../src/adapters/memory/coordinator.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { shardOf } from "../../../src/kernel/names.ts";
import type { Claim } from "../../../src/membership/claim.ts";
import { encodeValue, type HomeValue, keys, type Owner, type PlacementValue } from "../../../src/membership/keys.ts";
import { Membership, type MembershipOptions } from "../../../src/membership/membership.ts";
import type { Tenure } from "../../../src/membership/tenure.ts";
import type { KeyValue, Txn } from "../../../src/ports/coordinator.ts";
import type { Fields, Telemetry } from "../../../src/ports/telemetry.ts";
import { LateCoordinator } from "../../support/late-coordinator.ts";
import { NodeClock } from "../../support/node-clock.ts";
import { DoctoredCoordinator } from "./doctored-coordinator.ts";

/** The embedded lease: its deadline is 2 s after the renewal was sent, its end 3 s after that was heard. */
export const LEASE = { leaseTtlMs: 3_000, leaseRenewMs: 300, leaseMarginMs: 1_000 } as const;

/** The epoch marks, with a store that may be down. */
class Marks {
  readonly marks = new Map<number, bigint>();
  down = false;

  async loadEpochMark(shard: number): Promise<bigint> {
    if (this.down) throw new MeridianError("UNAVAILABLE", "the store is down");
    return this.marks.get(shard) ?? 0n;
  }

  async raiseEpochMark(shard: number, epoch: bigint): Promise<void> {
    if (this.down) throw new MeridianError("UNAVAILABLE", "the store is down");
    const mark = this.marks.get(shard) ?? 0n;
    if (epoch > mark) this.marks.set(shard, epoch);
  }
}

export interface Line {
  readonly event: string;
  readonly fields: Fields;
}

export class TestNode {
  readonly membership: Membership;
  readonly way: LateCoordinator;
  readonly doctor: DoctoredCoordinator;
  readonly clock: NodeClock;
  readonly lost: Claim[] = [];
  readonly drained: Claim[] = [];
  readonly lines: Line[] = [];
  /** What the sequencer answers to a drain; a test may put another in its place. */
  drain: (claim: Claim) => Promise<"drained" | "failed"> = async () => "drained";
  readonly address: string;

  constructor(cluster: Cluster, region: string, node: string, options: Partial<MembershipOptions> & NodeClocks = {}) {
    const { monotonic, wall, ...others } = options;
    this.clock = new NodeClock(cluster.clock, { ...(monotonic ? { monotonic } : {}), ...(wall ? { wall } : {}) });
    this.doctor = new DoctoredCoordinator(cluster.etcd);
    this.way = new LateCoordinator(this.doctor, cluster.clock);
    this.address = `${node}.${region}:7411`;
    const telemetry: Telemetry = { log: (_, event, fields = {}) => this.lines.push({ event, fields }), count: () => {} };
    this.membership = new Membership({
      coordinator: this.way,
      store: cluster.store,
      clock: this.clock,
      random: new SeededRandom(cluster.nextSeed()),
      telemetry,
      region,
      node,
      address: this.address,
      regions: cluster.regions,
      shards: cluster.shards,
      ...LEASE,
      ...others,
    });
    this.membership.bind({
      claimLost: (claim) => this.lost.push(claim),
      drainClaim: (claim) => {
        this.drained.push(claim);
        return this.drain(claim);
      },
    });
  }

  logged(event: string): readonly Line[] {
    return this.lines.filter((line) => line.event === event);
  }
}

interface NodeClocks {
  readonly monotonic?: number;
  readonly wall?: number;
}

/** One key space, one store, and nodes on virtual time, each with its own clock and its own way to the key space. */
export class Cluster {
  readonly clock = new VirtualClock();
  readonly etcd = new MemoryCoordinator({ clock: this.clock });
  readonly store = new Marks();
  readonly regions: readonly string[];
  readonly shards: number;
  #seed: number;

  constructor(options: { readonly regions?: readonly string[]; readonly shards?: number; readonly seed?: number } = {}) {
    this.regions = options.regions ?? ["eu", "us"];
    this.shards = options.shards ?? 2;
    this.#seed = (options.seed ?? 1) * 1_000;
  }

  nextSeed(): number {
    this.#seed += 1;
    return this.#seed;
  }

  node(region: string, node: string, options: Partial<MembershipOptions> & NodeClocks = {}): TestNode {
    return new TestNode(this, region, node, options);
  }

  async started(region: string, node: string, options: Partial<MembershipOptions> & NodeClocks = {}): Promise<TestNode> {
    const made = this.node(region, node, options);
    await this.clock.until(made.membership.start());
    return made;
  }

  /** A conversation of this default home and shard. */
  conversation(region: string, shard = 0, base = "talk"): string {
    for (let i = 0; ; i += 1) {
      const name = `${base}-${i}@${region}`;
      if (shardOf(name, this.shards) === shard) return name;
    }
  }

  tenure(node: TestNode, conversation: string): Promise<Tenure> {
    return this.clock.until(node.membership.tenure(conversation));
  }

  homeKey(conversation: string): string {
    const region = conversation.slice(conversation.lastIndexOf("@") + 1);
    return keys.home(region, shardOf(conversation, this.shards), conversation);
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const answer = await this.etcd.txn({ ranges: [{ key }] });
    return "header" in answer ? answer.ranges[0]?.kvs[0] : undefined;
  }

  async revision(): Promise<number> {
    const answer = await this.etcd.txn({ ranges: [{ key: keys.placement }] });
    return "header" in answer ? answer.header.revision : 0;
  }

  /** Writes past all rules, as an operator or a test would. Answers the revision. */
  async write(key: string, value: Owner | PlacementValue | HomeValue | undefined, lease?: string): Promise<number> {
    const txn: Txn =
      value === undefined
        ? { deletes: [key] }
        : { puts: [{ key, value: encodeValue(value), ...(lease === undefined ? {} : { lease }) }] };
    const answer = await this.etcd.txn(txn);
    if (answer.status !== "applied") throw new Error(`the write of ${key} was not applied`);
    return answer.header.revision;
  }
}

/** The transaction writes this key. */
export function writes(key: string): (txn: Txn) => boolean {
  return (txn) => txn.puts?.some((put) => put.key === key) === true || txn.deletes?.includes(key) === true;
}

/** The transaction reads this key, and writes nothing. */
export function reads(key: string): (txn: Txn) => boolean {
  return (txn) => txn.puts === undefined && txn.ranges?.some((range) => "key" in range && range.key === key) === true;
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "no error";
  } catch (error) {
    return MeridianError.from(error).code;
  }
}
