import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HistoryRequest, HistoryResponseSchema } from "../gen/meridian/v1/client_pb.ts";
import { MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import { checkWhole } from "./admission.ts";
import type { Gateway } from "./gateway.ts";
import { messagesOf, type WireMessage } from "./messages.ts";
import { Walk } from "./walk.ts";

type Response = MessageInitShape<typeof HistoryResponseSchema>;

/**
 * Reads a range of a conversation. The answer may end before the limit, but always brings something where something is
 * committed. Throws INVALID_ARGUMENT, UNAVAILABLE and CORRUPT.
 */
export async function history(gateway: Gateway, request: HistoryRequest, signal: AbortSignal): Promise<Response> {
  checkConversation(request.conversation);
  const after = checkWhole("after", request.after);
  const limit = request.limit === 0 ? LIMITS.historyMessagesDefault : request.limit;
  if (limit > LIMITS.historyMessages) {
    throw new MeridianError("INVALID_ARGUMENT", `limit is ${limit}; at most ${LIMITS.historyMessages} are allowed`);
  }
  const ended = new AbortController();
  try {
    const what = `reading ${JSON.stringify(request.conversation)}`;
    const reading = read(gateway, request.conversation, after, limit, ended.signal);
    return await withDeadline(gateway.clock, LIMITS.callDeadlineMs, what, reading, signal);
  } finally {
    ended.abort();
  }
}

async function read(
  gateway: Gateway,
  conversation: string,
  after: number,
  limit: number,
  signal: AbortSignal,
): Promise<Response> {
  const { follower, release } = gateway.followers.follow(conversation);
  try {
    const head = await follower.ready(signal);
    const last = Math.min(head.seq, after + limit);
    const walk = new Walk(gateway, follower, after, signal);
    const messages: WireMessage[] = [];
    let bytes = 0;
    while (walk.position < last && bytes < LIMITS.historyBytes) {
      const batches = await walk.take(LIMITS.deliveryBytes);
      if (batches.length === 0) break;
      for (const batch of batches) {
        messages.push(...messagesOf(batch, after, last));
        bytes += batch.bytes.length;
      }
    }
    const through = Math.max(after, Math.min(walk.position, last));
    return { messages, through: BigInt(through), headSeq: BigInt(head.seq) };
  } finally {
    release();
  }
}
