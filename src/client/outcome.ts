import { MeridianError } from "../kernel/errors.ts";

/**
 * How a send ended (G6).
 *
 * - `committed`: it stands in the log at `seq`, for good.
 * - `rejected`: its first and only try was refused; it will never be accepted. `error` says why.
 * - `expired`: given up before it was accepted; it will never be accepted. `error` says why it was given up.
 * - `unknown`: it may or may not stand in the log. Keep `retryKey` and ask `client.resolve(retryKey)` later.
 */
export type Outcome =
  | { readonly status: "committed"; readonly seq: number; readonly id: bigint }
  | { readonly status: "rejected" | "expired"; readonly error: MeridianError }
  | { readonly status: "unknown"; readonly retryKey: string };

/** What a retry key names: one counter of one producer in one conversation. */
export interface RetryKey {
  readonly sender: string;
  readonly producer: bigint;
  readonly conversation: string;
  readonly counter: number;
}

/** The first field of every key, so that a later version can tell its own from these. */
const VERSION = 1;

/** The key as the opaque text that applications keep. */
export function formatRetryKey(key: RetryKey): string {
  const fields = [VERSION, String(key.producer), key.counter, key.sender, key.conversation];
  return Buffer.from(JSON.stringify(fields), "utf8").toString("base64url");
}

/** Throws INVALID_ARGUMENT for anything that `formatRetryKey` did not make. */
export function parseRetryKey(text: string): RetryKey {
  try {
    const fields: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (Array.isArray(fields)) {
      const [, producer, counter, sender, conversation] = fields as [unknown, string, number, string, string];
      const key = { sender, producer: BigInt(producer), conversation, counter };
      if (Number.isSafeInteger(counter) && counter > 0 && formatRetryKey(key) === text) return key;
    }
  } catch (cause) {
    throw notAKey(cause);
  }
  throw notAKey();
}

function notAKey(cause?: unknown): MeridianError {
  return new MeridianError("INVALID_ARGUMENT", "this is not the retry key of an unknown outcome", { cause });
}
