import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SendRequest, SendResponseSchema } from "../gen/meridian/v1/client_pb.ts";
import { PayloadSchema } from "../gen/meridian/v1/types_pb.ts";
import { encode } from "../kernel/encode.ts";
import { invariant, MeridianError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkConversation } from "../kernel/names.ts";
import { withDeadline } from "../kernel/timing.ts";
import type { SubmitRun } from "../routing/leaders.ts";
import { checkItem, checkSender, checkWhole } from "./admission.ts";
import type { Gateway } from "./gateway.ts";

/**
 * Sends one message without a session. A repeat with the same key must have the same content, so the node adds nothing of
 * its own to it. Throws what the leader refuses it with, and UNAVAILABLE if the outcome is not known.
 */
export async function send(
  gateway: Pick<Gateway, "leaders" | "clock" | "bodyBytesMax">,
  request: SendRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof SendResponseSchema>> {
  const run = runOf(request, gateway.bodyBytesMax);
  const what = `sending to ${JSON.stringify(request.conversation)}`;
  const submitting = gateway.leaders.submit(run);
  const [fate] = await withDeadline(gateway.clock, LIMITS.callDeadlineMs, what, submitting, signal);
  invariant(fate !== undefined && fate.kind !== "skipped", "a leader places or refuses a message");
  if (fate.kind === "refused") throw fate.error;
  return { seq: BigInt(fate.seq), id: fate.id };
}

function runOf(request: SendRequest, bodyBytesMax: number): SubmitRun {
  const { conversation, sender, key, body, type, sentAtMs, traceparent, aboveId } = request;
  checkConversation(conversation);
  checkSender(sender);
  if (request.base !== undefined && key.length === 0) {
    throw new MeridianError("INVALID_ARGUMENT", "base is for repeating a keyed send: give a key too, or leave base out");
  }
  const base = request.base === undefined ? {} : { base: checkWhole("base", request.base) };
  const item = {
    payload: encode(PayloadSchema, { type, body, sentAtMs, traceparent }),
    key,
    skip: false,
  };
  checkItem(item, bodyBytesMax);
  return { conversation, producer: 0n, sender, firstCounter: 0, items: [item], aboveId, ...base };
}
