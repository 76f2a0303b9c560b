/**
 * One Meridian process, put together from its ports: it leads conversations, follows them for its readers, and serves
 * clients and operators. Everything that touches the world comes in from outside, so the same node runs on virtual time.
 */
import { Followers } from "../feed/followers.ts";
import { createMeridianService, type MeridianServiceParts } from "../gateway/service.ts";
import { AdminService } from "../gen/meridian/v1/admin_pb.ts";
import { MeridianService } from "../gen/meridian/v1/client_pb.ts";
import { IdGenerator } from "../ids/generator.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { sleep } from "../kernel/timing.ts";
import { LogReader } from "../log/reader.ts";
import { Membership, type MembershipState } from "../membership/membership.ts";
import type { Clock } from "../ports/clock.ts";
import type { Coordinator } from "../ports/coordinator.ts";
import type { LogStore } from "../ports/log-store.ts";
import type { ServiceRegistration } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { Conversations } from "../sequencer/conversations.ts";
import { createAdminService } from "./admin.ts";

export interface NodeOptions {
  readonly node: string;
  readonly region: string;
  /** All regions of the cluster. */
  readonly regions: readonly string[];
  /** Where clients reach the node, as other nodes tell them. */
  readonly address: string;
  readonly version: string;
  readonly bodyBytesMax: number;
  readonly lease: { readonly ttlMs: number; readonly renewMs: number; readonly marginMs: number };
  readonly coordinator: Coordinator;
  readonly store: LogStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly counters: () => ReadonlyMap<string, number>;
}

const READY_POLL_MS = 20;

export class MeridianNode {
  readonly options: NodeOptions;
  readonly membership: Membership;
  readonly ids: IdGenerator;
  readonly conversations: Conversations;
  readonly startedMs: number;
  readonly #followers: Followers;
  readonly #service: MeridianServiceParts;

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
    this.#followers = new Followers({ ...options, leaders: this.conversations });
    this.#service = createMeridianService({
      ...options,
      leaders: this.conversations,
      reader: new LogReader(options),
      followers: this.#followers,
      newProducerId: () => this.ids.next(1),
      generateIds: async (count) => {
        const first = await this.ids.next(count);
        return Array.from({ length: count }, (_, i) => first + BigInt(i));
      },
      locate: (conversation) => this.locate(conversation),
    });
  }

  /** What clients call, and what operators call. */
  get services(): { readonly clients: readonly ServiceRegistration[]; readonly operators: readonly ServiceRegistration[] } {
    return {
      clients: [{ service: MeridianService, handlers: this.#service.handlers }],
      operators: [{ service: AdminService, handlers: createAdminService(this) }],
    };
  }

  get sessions(): number {
    return this.#service.sessions();
  }

  /** Why the node does not serve; empty if it does. */
  reasons(): readonly string[] {
    const worker = this.ids.worker();
    const reasons = notLeading(this.membership.state);
    return worker instanceof MeridianError ? [...reasons, worker.message] : reasons;
  }

  /** Resolves once the node serves. Throws what keeps it from serving after `withinMs`. */
  async start(withinMs: number = LIMITS.callDeadlineMs): Promise<void> {
    const { clock } = this.options;
    const endMs = clock.monotonicMs() + withinMs;
    this.ids.start();
    this.conversations.start();
    await this.membership.start();
    while (this.reasons().length > 0) {
      if (clock.monotonicMs() >= endMs) {
        throw new MeridianError("UNAVAILABLE", `the node does not become ready: ${this.reasons().join("; ")}`);
      }
      await sleep(clock, READY_POLL_MS);
    }
  }

  /** Tells clients to go on elsewhere, puts every conversation aside, gives back lease and worker number. */
  async stop(): Promise<void> {
    this.#service.drain();
    await this.#followers.close();
    await this.conversations.stop();
    await this.membership.stop();
    await this.ids.stop();
  }

  async locate(conversation: string) {
    const { home, shard } = this.membership.locate(conversation);
    const leader = await this.conversations.leader(conversation);
    return { home, shard, leader: this.options.node, epoch: leader.tenure.epoch, head: leader.head };
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
