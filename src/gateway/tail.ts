import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TailRequest, TailResponseSchema } from "../gen/meridian/v1/client_pb.ts";
import { Deferred } from "../kernel/deferred.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { checkWhole } from "./admission.ts";
import type { Gateway } from "./gateway.ts";
import { messagesOf } from "./messages.ts";
import { Walk } from "./walk.ts";

/**
 * Follows a conversation message by message, until the caller has gone. It takes the next batches when the caller has taken
 * the last ones. Throws INVALID_ARGUMENT, UNAVAILABLE and CORRUPT.
 */
export async function* tail(
  gateway: Gateway,
  request: TailRequest,
  signal: AbortSignal,
): AsyncGenerator<MessageInitShape<typeof TailResponseSchema>, void, undefined> {
  checkConversation(request.conversation);
  const asked = request.after === undefined ? undefined : checkWhole("after", request.after);
  const { follower, release } = gateway.followers.follow(request.conversation);
  let changed = new Deferred<void>();
  const wake = () => {
    changed.resolve();
    changed = new Deferred();
  };
  const unwatch = follower.watch(wake);
  signal.addEventListener("abort", wake, { once: true });
  try {
    const after = asked ?? (await follower.ready(signal)).seq;
    await follower.ready(signal);
    const walk = new Walk(gateway, follower, after, signal);
    while (!signal.aborted) {
      const batches = await walk.take(LIMITS.deliveryBytes);
      for (const batch of batches) for (const message of messagesOf(batch, after, batch.lastSeq)) yield { message };
      if (!walk.behind && !signal.aborted) await changed.promise;
    }
  } finally {
    signal.removeEventListener("abort", wake);
    unwatch();
    release();
  }
}
