import { resetCursor } from "../gateway/cursors.ts";
import type { AdminService } from "../gen/meridian/v1/admin_pb.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation, checkName } from "../kernel/names.ts";
import type { Handlers } from "../ports/network.ts";
import { watermarkToWire } from "../routing/watermark.ts";
import type { MeridianNode } from "./node.ts";

const LEADERS_DEFAULT = 100;
const LEADERS_MAX = 1_000;

/** What a node does for its operators. */
export function createAdminService(node: MeridianNode): Handlers<typeof AdminService> {
  const { options } = node;
  return {
    async getStatus() {
      const worker = node.ids.worker();
      const time = options.clock.time();
      const reasons = [...node.reasons()];
      return {
        node: options.node,
        region: options.region,
        version: options.version,
        ready: reasons.length === 0,
        reasons,
        uptimeMs: BigInt(Math.round(options.clock.monotonicMs() - node.startedMs)),
        leaseLeftMs: BigInt(Math.max(0, Math.round(node.membership.leaseLeftMs()))),
        ...(worker instanceof MeridianError ? {} : { worker }),
        ...(time.synchronised ? { clockErrorMs: time.errorMs } : {}),
        shards: [...node.membership.shards()],
        conversations: node.conversations.led().length,
        sessions: node.sessions,
        counters: Object.fromEntries([...options.counters()].map(([name, value]) => [name, BigInt(value)])),
      };
    },

    async listLeaders({ limit }) {
      if (limit > LEADERS_MAX)
        throw new MeridianError("INVALID_ARGUMENT", `limit is ${limit}; at most ${LEADERS_MAX} are allowed`);
      const led = node.conversations.led().slice(0, limit === 0 ? LEADERS_DEFAULT : limit);
      const leaders = led.map(({ tenure, head }) => ({
        conversation: tenure.conversation,
        epoch: tenure.epoch,
        head: watermarkToWire(head),
      }));
      return { leaders };
    },

    async moveConversation({ conversation, region }) {
      checkConversation(conversation);
      if (!options.regions.includes(region)) {
        throw new MeridianError("INVALID_ARGUMENT", `${JSON.stringify(region)} is not a region of this cluster`, {
          advice: `Choose one of ${options.regions.join(", ")}.`,
        });
      }
      return { epoch: await node.leaders.move(conversation, region) };
    },

    async resetCursor({ conversation, consumer, seq }) {
      checkConversation(conversation);
      checkName("the consumer's name", consumer, LIMITS.consumerBytes);
      const { head } = await node.leaders.describe(conversation);
      if (seq > BigInt(head.seq)) {
        throw new MeridianError("INVALID_ARGUMENT", `seq is ${seq}, but the conversation ends at ${head.seq}`);
      }
      const { generation } = await resetCursor(options.store, { conversation, consumer }, Number(seq));
      return { generation: BigInt(generation) };
    },
  };
}
