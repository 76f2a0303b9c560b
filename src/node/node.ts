/**
 * One Meridian process, put together from its ports: it leads conversations, follows them for its readers, and serves
 * clients and operators. Everything that touches the world comes in from outside, so the same node runs on virtual time.
 */
import { Followers } from "../feed/followers.ts";
import { createMeridianService, type MeridianServiceParts } from "../gateway/service.ts";
import { AdminService } from "../gen/meridian/v1/admin_pb.ts";
import { MeridianService } from "../gen/meridian/v1/client_pb.ts";
import { PeerService } from "../gen/meridian/v1/peer_pb.ts";
import { IdGenerator } from "../ids/generator.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import { LogReader } from "../log/reader.ts";
import { Membership, type MembershipState } from "../membership/membership.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator } from "../ports/coordinator.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { Network, ServiceRegistration } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { PatientLeaders } from "../routing/patient-leaders.ts";
import { createPeerService } from "../routing/peer-service.ts";
import { Peers } from "../routing/peers.ts";
import { Router } from "../routing/router.ts";
import { Conversations } from "../sequencer/conversations.ts";
import { createAdminService } from "./admin.ts";

export interface NodeOptions {
  readonly node: string;
  readonly region: string;
  /** All regions of the cluster. */
  readonly regions: readonly string[];
  /** Where other nodes reach this one, `host:port`. */
  readonly address: string;
  readonly version: string;
  readonly bodyBytesMax: number;
  readonly lease: { readonly ttlMs: number; readonly renewMs: number; readonly marginMs: number };
  readonly coordinator: Coordinator;
  readonly store: LogStore;
  /** How this node reaches the others. */
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly counters: () => ReadonlyMap<string, number>;
  /** Why the log cannot be written now, where somebody looks. */
  readonly storeFault?: () => string | undefined;
}

const READY_POLL_MS = 20;

export class MeridianNode {
  readonly options: NodeOptions;
  readonly membership: Membership;
  readonly ids: IdGenerator;
  readonly conversations: Conversations;
  readonly startedMs: number;
  /** The leaders of all conversations, here or at other nodes. */
  readonly leaders: PatientLeaders;
  readonly #peers: Peers;
  readonly #followers: Followers;
  readonly #service: MeridianServiceParts;
  #isStopping = false;

  constructor(options: NodeOptions) {
    this.options = options;
    this.startedMs = options.clock.monotonicMs();
    this.membership = new Membership({
      ...options,
      shards: LIMITS.shardsPerRegion,
      leaseTtlMs: options.lease.ttlMs,
      leaseRenewMs: options.lease.renewMs,
      leaseMarginMs: options.lease.marginMs,
    });
    this.ids = new IdGenerator({ ...options, lease: { current: () => this.membership.lease() } });
    this.conversations = new Conversations({ ...options, membership: this.membership, ids: this.ids });
    this.#peers = new Peers({
      ...options,
      self: options,
      local: this.conversations,
      nodes: () => this.membership.nodes(),
      watchNodes: (changed) => this.membership.watchNodes(changed),
    });
    const router = new Router({
      ...options,
      local: this.conversations,
      peers: this.#peers,
      locate: (conversation) => this.membership.locate(conversation),
    });
    this.leaders = new PatientLeaders({ ...options, leaders: router });
    this.#followers = new Followers({ ...options, leaders: this.leaders });
    this.#service = createMeridianService({
      ...options,
      leaders: this.leaders,
      reader: new LogReader(options),
      followers: this.#followers,
      newProducerId: () => this.ids.next(1),
      generateIds: async (count) => {
        const first = await this.ids.next(count);
        return Array.from({ length: count }, (_, i) => first + BigInt(i));
      },
      locate: (conversation) => this.locate(conversation),
      isServing: () => this.#notLeading().length === 0,
    });
  }

  /** What clients, other nodes and operators call. */
  get services(): Readonly<Record<"clients" | "peers" | "operators", readonly ServiceRegistration[]>> {
    const { clock } = this.options;
    const peerHandlers = createPeerService({ peers: this.#peers, local: this.conversations, clock });
    return {
      clients: [{ service: MeridianService, handlers: this.#service.handlers }],
      peers: [{ service: PeerService, handlers: peerHandlers }],
      operators: [{ service: AdminService, handlers: createAdminService(this) }],
    };
  }

  get sessions(): number {
    return this.#service.sessions();
  }

  /** Why the node does not serve; empty if it does. */
  reasons(): readonly string[] {
    const store = this.options.storeFault?.();
    return store === undefined ? this.#notLeading() : [...this.#notLeading(), store];
  }

  /** Resolves once the node serves. Throws what keeps it from serving `withinMs` after it has joined the cluster. */
  async start(withinMs: number = LIMITS.callDeadlineMs): Promise<void> {
    const { clock } = this.options;
    this.ids.start();
    this.conversations.start();
    this.#peers.start();
    await this.membership.start();
    const endMs = clock.monotonicMs() + withinMs;
    while (this.#notLeading().length > 0) {
      if (clock.monotonicMs() >= endMs) {
        throw new MeridianError("UNAVAILABLE", `the node does not become ready: ${this.#notLeading().join("; ")}`);
      }
      await sleep(clock, READY_POLL_MS);
    }
  }

  /**
   * Hands the shards over, then tells clients to go on elsewhere, and gives back the lease and the worker number. In this order
   * clients can send all the time: through this node to the new leaders until they are told.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.membership.stop();
    this.#service.drain();
    await this.#followers.close();
    await this.conversations.stop();
    await this.#peers.stop();
    await this.ids.stop();
  }

  /** What keeps the node from leading and from giving out ids. Readers and senders are served by the log and by other leaders. */
  #notLeading(): readonly string[] {
    if (this.#isStopping) return ["the node is stopping"];
    const worker = this.ids.worker();
    const reasons = notLeading(this.membership.state);
    return worker instanceof MeridianError ? [...reasons, worker.message] : reasons;
  }

  async locate(conversation: string) {
    const { shard } = this.membership.locate(conversation);
    const { node: leader, ...facts } = await this.leaders.describe(conversation);
    return { shard, leader, ...facts };
  }
}

function notLeading(state: MembershipState): readonly string[] {
  switch (state.kind) {
    case "member":
      return [];
    case "joining":
      return [state.reason];
    case "refused":
      return [`${state.error.message}: ${state.error.advice}`];
    case "left":
      return ["the node is stopping"];
  }
}
