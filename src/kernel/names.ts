import { MeridianError } from "./errors.ts";
import { fnv1a64, rendezvous } from "./hash.ts";
import { LIMITS } from "./limits.ts";

/** 1 to 256 bytes of UTF-8, no control characters. Throws INVALID_ARGUMENT. */
export function checkName(what: string, name: string, limitBytes: number): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0) throw new MeridianError("INVALID_ARGUMENT", `${what} must not be empty`);
  if (bytes > limitBytes) {
    throw new MeridianError("INVALID_ARGUMENT", `${what} has ${bytes} bytes; at most ${limitBytes} are allowed`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what this is for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) {
    throw new MeridianError("INVALID_ARGUMENT", `${what} must not have control characters`);
  }
  if (!name.isWellFormed()) throw new MeridianError("INVALID_ARGUMENT", `${what} must be well-formed Unicode`);
}

/** `standup` or `standup@eu-west`: the name, `@region` included, is the conversation. */
export function checkConversation(conversation: string): void {
  checkName("the conversation's name", conversation, LIMITS.conversationBytes);
}

/** The shard's number: the same in every region. */
export function shardOf(conversation: string, shards: number): number {
  return Number(fnv1a64(conversation) % BigInt(shards));
}

/** Where a conversation is led unless it was moved: the region after its last `@`, else by rendezvous over the regions. */
export function defaultHome(conversation: string, regions: readonly string[]): string {
  const at = conversation.lastIndexOf("@");
  const named = at < 0 ? undefined : conversation.slice(at + 1);
  if (named !== undefined && regions.includes(named)) return named;
  const home = rendezvous(conversation, regions);
  if (home === undefined) throw new MeridianError("INTERNAL", "there are no regions");
  return home;
}
