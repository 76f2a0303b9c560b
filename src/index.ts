/**
 * The public API of Meridian:
 *
 *     await using client = await connect({ endpoints: ["127.0.0.1:7401"], sender: "ada" });
 *     const outcome = await client.send("standup", "good morning");
 *     for await (const message of client.subscribe("standup")) console.log(message.seq, message.sender, message.body);
 */
import { GrpcNetwork } from "./adapters/grpc/channel.ts";
import { SystemClock } from "./adapters/system/clock.ts";
import { SystemRandom } from "./adapters/system/random.ts";
import { AdminClient } from "./client/admin.ts";
import { Client, type ClientOptions } from "./client/client.ts";
import type { Fault } from "./client/events.ts";
import { LIMITS } from "./kernel/limits.ts";

export type { AdminClient, EmulatedRegion, EmulatedRegions, LedConversation, NodeStatus, RegionFault } from "./client/admin.ts";
export type { Client, ClientOptions, History, Location } from "./client/client.ts";
export type { CursorStore } from "./client/cursors.ts";
export type { ClientEvents, ConnectionState, DeadLetter, Fault } from "./client/events.ts";
export type { HandlerContext, OnDeadLetter, OnMessage } from "./client/handler.ts";
export type { Message } from "./client/messages.ts";
export type { Outcome } from "./client/outcome.ts";
export type { Producer, SendOptions } from "./client/producer.ts";
export type { SubscribeOptions, Truncation } from "./client/subscribe-options.ts";
export type { Subscription } from "./client/subscription.ts";
export { type Code, type ErrorOptions, MeridianError, type Retry } from "./kernel/errors.ts";

/**
 * A client of the nodes at these endpoints. It is usable at once: connecting goes on in the background, with growing pauses,
 * as `client.on("state", …)` tells; sends wait for it up to their deadlines. Throws INVALID_ARGUMENT only.
 */
export async function connect(options: ClientOptions): Promise<Client> {
  return new Client({ ...systemPorts(), unheard: warn }, options);
}

/** A client of one node's admin address, for its operators. Connects at the first call. */
export function connectAdmin(options: { readonly endpoint: string }): AdminClient {
  return new AdminClient(new GrpcNetwork(), options.endpoint);
}

function systemPorts() {
  // The client asks this clock for durations and for `sentAtMs`, never for UTC with a bound: the bound is of no account.
  const clock = new SystemClock({ errorMs: LIMITS.clockErrorMs });
  return { network: new GrpcNetwork(), clock, random: new SystemRandom() };
}

/** A fault that the application does not listen for must not vanish. */
function warn({ what, error, conversation }: Fault): void {
  const where = conversation === undefined ? "" : ` in ${JSON.stringify(conversation)}`;
  process.emitWarning(`${what}${where}: ${error} ${error.advice}`, { type: "MeridianWarning", code: error.code });
}
