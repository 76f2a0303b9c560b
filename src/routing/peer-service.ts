import type { PeerService } from "../gen/meridian/v1/peer_pb.ts";
import { LIMITS } from "../kernel/limits.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { Clock } from "../ports/clock.ts";
import type { Handlers } from "../ports/network.ts";
import type { Leadership } from "./leaders.ts";
import type { Peers } from "./peers.ts";
import { watermarkToWire } from "./watermark.ts";

export interface PeerServiceOptions {
  readonly peers: Pick<Peers, "accept">;
  /** The leaders of this node alone: what another node asks for is answered here or not at all, so no call goes round. */
  readonly local: Leadership;
  readonly clock: Clock;
}

/** What a node does for the other nodes. */
export function createPeerService({ peers, local, clock }: PeerServiceOptions): Handlers<typeof PeerService> {
  return {
    link: (stream) => peers.accept(stream),
    async describeLeader({ conversation }, call) {
      const work = local.describe(conversation);
      const { head, ...leader } = await withDeadline(clock, LIMITS.callDeadlineMs, "describing a leader", work, call.signal);
      return { ...leader, head: watermarkToWire(head) };
    },
    async moveHome({ conversation, region }) {
      return { epoch: await local.move(conversation, region) };
    },
  };
}
