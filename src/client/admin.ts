import { AdminService } from "../gen/meridian/v1/admin_pb.ts";
import { EmulationService, Fault } from "../gen/meridian/v1/emulation_pb.ts";
import { type Hash, hashFromBytes, ROOT_HASH } from "../kernel/hash.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import type { Channel, Network } from "../ports/network.ts";

/** How a node is. */
export interface NodeStatus {
  readonly node: string;
  readonly region: string;
  readonly version: string;
  /** Whether it serves: it has a lease, a worker number and a synchronised clock. */
  readonly ready: boolean;
  /** Why it does not serve; empty if it does. */
  readonly reasons: readonly string[];
  readonly uptimeMs: number;
  /** How long its lease still lets it lead; 0 without a lease. */
  readonly leaseLeftMs: number;
  /** Its worker number for ids. */
  readonly worker: number | undefined;
  /** The bound of its clock's error; undefined if it is not synchronised. */
  readonly clockErrorMs: number | undefined;
  /** The shards that it owns, as `<region>/<number>`. */
  readonly shards: readonly string[];
  readonly conversations: number;
  readonly sessions: number;
  /** Since its start, by name. */
  readonly counters: Readonly<Record<string, bigint>>;
}

/** A conversation that a node leads. */
export interface LedConversation {
  readonly conversation: string;
  readonly epoch: bigint;
  readonly head: { readonly seq: number; readonly hash: Hash };
}

/** Regions that run in one process, and the emulated ways between them. */
export interface EmulatedRegions {
  readonly regions: readonly EmulatedRegion[];
  /** The region from which the coordinator answers. */
  readonly coordinator: string;
  readonly leaseTtlMs: number;
}

export interface EmulatedRegion {
  readonly region: string;
  /** Where operators reach its node, lost or not. */
  readonly admin: string;
  /** How clients in this region reach the nodes, the nearest one first. */
  readonly routes: readonly { readonly region: string; readonly address: string; readonly rttMs: number }[];
  /** Its node and its replica are cut off from everything, clients included. */
  readonly lost: boolean;
  /** The regions to which the way is cut, with neither of the two lost. */
  readonly partitionedFrom: readonly string[];
  /** By how much its clock is wrong on purpose. */
  readonly skewMs: number;
  /** Its replica of the log may lack what another one has. */
  readonly replicaBehind: boolean;
}

/** What can be done to an emulated region; "restore" ends all of it. */
export type RegionFault =
  | { readonly kind: "kill" | "partition" | "restore"; readonly region: string }
  | { readonly kind: "skew"; readonly region: string; readonly skewMs: number };

const FAULTS = { kill: Fault.KILL, partition: Fault.PARTITION, skew: Fault.SKEW, restore: Fault.RESTORE } as const;

/** The operator's connection to one node's admin address. Every call throws MeridianError, UNAVAILABLE after 10 s. */
export class AdminClient implements Disposable {
  readonly #channel: Channel;

  constructor(network: Network, endpoint: string) {
    this.#channel = network.channel(endpoint);
  }

  async status(): Promise<NodeStatus> {
    const answer = await this.#channel.unary(AdminService.method.getStatus, {}, CALL);
    const { node, region, version, ready, reasons, worker, clockErrorMs, shards, conversations, sessions, counters } = answer;
    const facts = { node, region, version, ready, reasons, worker, clockErrorMs, shards, conversations, sessions, counters };
    return { ...facts, uptimeMs: Number(answer.uptimeMs), leaseLeftMs: Number(answer.leaseLeftMs) };
  }

  /** The conversations that the node leads, the most recently used first; `limit` 1 to 1,000, default 100. */
  async leaders(options: { readonly limit?: number } = {}): Promise<readonly LedConversation[]> {
    const { leaders } = await this.#channel.unary(AdminService.method.listLeaders, { limit: options.limit ?? 0 }, CALL);
    return leaders.map(({ conversation, epoch, head }) => {
      const hash = head === undefined || head.hash.length === 0 ? ROOT_HASH : hashFromBytes(head.hash);
      return { conversation, epoch, head: { seq: Number(head?.seq ?? 0n), hash } };
    });
  }

  /** Moves a conversation to another region. Nothing is lost and no seq changes. */
  async move(conversation: string, region: string): Promise<{ readonly epoch: bigint }> {
    checkConversation(conversation);
    const { epoch } = await this.#channel.unary(AdminService.method.moveConversation, { conversation, region }, CALL);
    return { epoch };
  }

  /** Sets a consumer's cursor: its next delivery is the message after `seq`. */
  async resetCursor(conversation: string, consumer: string, seq: number): Promise<{ readonly generation: number }> {
    checkConversation(conversation);
    const request = { conversation, consumer, seq: BigInt(seq) };
    const { generation } = await this.#channel.unary(AdminService.method.resetCursor, request, CALL);
    return { generation: Number(generation) };
  }

  /** Tells of the regions of one process. Throws INVALID_ARGUMENT where there are none. */
  async regions(): Promise<EmulatedRegions> {
    const { regions, coordinator, leaseTtlMs } = await this.#channel.unary(EmulationService.method.describeRegions, {}, CALL);
    return {
      regions: regions.map(({ region, admin, routes, lost, partitionedFrom, skewMs, replicaBehind }) => ({
        region,
        admin,
        routes: routes.map(({ region, address, rttMs }) => ({ region, address, rttMs })),
        lost,
        partitionedFrom,
        skewMs: Number(skewMs),
        replicaBehind,
      })),
      coordinator,
      leaseTtlMs: Number(leaseTtlMs),
    };
  }

  /** Does something to a region of one process. Throws as `regions`, and NOT_FOUND for a region that there is not. */
  async injectFault(fault: RegionFault): Promise<void> {
    const skewMs = BigInt(fault.kind === "skew" ? fault.skewMs : 0);
    await this.#channel.unary(
      EmulationService.method.injectFault,
      { fault: FAULTS[fault.kind], region: fault.region, skewMs },
      CALL,
    );
  }

  close(): void {
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const CALL = { deadlineMs: LIMITS.callDeadlineMs };
