import { credentials } from "@grpc/grpc-js";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sleep } from "../../kernel/timing.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Coordinator, LeaseAnswer, LeaseId, Txn, TxnAnswer, WatchAnswer } from "../../ports/coordinator.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { checkTxn } from "../memory/check-txn.ts";
import { Caller } from "./caller.ts";
import { decodeHeader, decodeRanges, encodeTxn, integer } from "./codec.ts";
import { ClusterKeys } from "./keys.ts";
import type { Credentials } from "./login.ts";
import { checkVersion } from "./version.ts";
import { EtcdWatch } from "./watch.ts";

export interface EtcdOptions {
  /** `host:port` of each member's client port, the nearest first. */
  readonly endpoints: readonly string[];
  /** All keys of the cluster stand below it: one etcd may serve several clusters. Such as `chat-production/`. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** PEM. Without `ca` the machine's own authorities are trusted; `cert` and `key` when etcd asks clients for a certificate. */
  readonly tls?: { readonly ca?: Uint8Array; readonly cert?: Uint8Array; readonly key?: Uint8Array };
  readonly login?: Credentials;
  /** Milliseconds that a call may take. */
  readonly callMs?: number;
  /** Milliseconds that `open` waits for etcd. */
  readonly connectMs?: number;
}

/**
 * The coordinator of a cluster: etcd. Every call is sent once, to one member, within its own deadline, and whatever is
 * neither an answer nor a definite refusal is reported as unknown: what then is decided in `membership/`.
 */
export class EtcdCoordinator implements Coordinator {
  readonly #options: EtcdOptions;
  readonly #keys: ClusterKeys;
  readonly #caller: Caller;

  private constructor(options: EtcdOptions) {
    const { endpoints, tls, login, clock, telemetry, callMs = LIMITS.etcdCallMs } = options;
    this.#options = options;
    this.#keys = new ClusterKeys(options.prefix);
    this.#caller = new Caller({
      addresses: endpoints,
      credentials: tls === undefined ? credentials.createInsecure() : secure(tls),
      login,
      clock,
      telemetry,
      callMs,
      probeKey: this.#keys.encode(""),
    });
  }

  /**
   * Connects and looks whether etcd can be used. Throws UNAVAILABLE when no member answers in time, UNAUTHENTICATED,
   * PERMISSION_DENIED, and INVALID_ARGUMENT when a member is too old.
   */
  static async open(options: EtcdOptions): Promise<EtcdCoordinator> {
    const coordinator = new EtcdCoordinator(options);
    try {
      await coordinator.#greet();
      return coordinator;
    } catch (error) {
      await coordinator.close();
      throw error;
    }
  }

  async grant(ttlMs: number): Promise<LeaseAnswer> {
    // etcd counts in seconds, and makes the shortest lease somewhat longer than its own election timeout.
    const answer = await this.#caller.call("Lease.leaseGrant", { TTL: Math.ceil(ttlMs / 1_000), ID: 0 });
    if (answer.error !== "") throw new MeridianError("UNAVAILABLE", `etcd granted no lease: ${answer.error}`);
    return { header: decodeHeader(answer.header), lease: answer.ID, ttlMs: integer(answer.TTL) * 1_000 };
  }

  async renew(lease: LeaseId): Promise<LeaseAnswer> {
    const { header, ID, TTL } = await this.#caller.keepAlive(lease);
    if (ID !== lease) throw new MeridianError("UNAVAILABLE", `etcd renewed the lease ${ID}, asked for ${lease}`);
    return { header: decodeHeader(header), lease, ttlMs: Math.max(0, integer(TTL)) * 1_000 };
  }

  async revoke(lease: LeaseId): Promise<void> {
    try {
      await this.#caller.call("Lease.leaseRevoke", { ID: lease });
    } catch (error) {
      if (!(error instanceof MeridianError && error.code === "NOT_FOUND")) throw error;
    }
  }

  async txn(txn: Txn): Promise<TxnAnswer> {
    checkTxn(txn);
    try {
      const answer = await this.#caller.call("KV.txn", encodeTxn(txn, this.#keys));
      const status = answer.succeeded ? "applied" : "guard-failed";
      return { status, header: decodeHeader(answer.header), ranges: decodeRanges(txn, answer, this.#keys) };
    } catch (thrown) {
      return withoutAnswer(MeridianError.from(thrown));
    }
  }

  watch(prefix: string, fromRevision: number): AsyncIterable<WatchAnswer> {
    const { clock } = this.#options;
    const options = { caller: this.#caller, keys: this.#keys, clock, prefix, fromRevision };
    return { [Symbol.asyncIterator]: () => new EtcdWatch(options) };
  }

  /** Ends all watches and connections; calls under way and later ones have no answer. */
  close(): Promise<void> {
    return this.#caller.endpoints.close();
  }

  /** A read, through the quorum and with the user's rights; then the version of whoever is connected. */
  async #greet(): Promise<void> {
    const { clock, telemetry, connectMs = LIMITS.etcdConnectMs } = this.#options;
    const endMs = clock.monotonicMs() + connectMs;
    for (;;) {
      const read = await this.txn({ ranges: [{ prefix: "", limit: 1 }] });
      if (read.status === "applied") break;
      if (clock.monotonicMs() >= endMs) throw "cause" in read ? read.cause : new MeridianError("UNAVAILABLE", "etcd is busy");
      await sleep(clock, LIMITS.etcdProbeMs);
    }
    for (const [address, version] of await this.#caller.versions()) {
      if (checkVersion(address, version) === "unsound") telemetry.log("warn", "etcd.version-unsound", { address, version });
    }
  }
}

function withoutAnswer(error: MeridianError): TxnAnswer {
  switch (error.code) {
    case "NOT_FOUND":
      return { status: "not-applied", reason: "lease-not-found" };
    case "TRUNCATED":
      return { status: "not-applied", reason: "compacted" };
    case "OVERLOADED":
      return { status: "not-applied", reason: "busy" };
    case "UNAVAILABLE":
    case "CORRUPT":
      return { status: "unknown", cause: error };
    default:
      throw error;
  }
}

function secure({ ca, cert, key }: NonNullable<EtcdOptions["tls"]>) {
  const pem = (bytes: Uint8Array | undefined) => (bytes === undefined ? null : Buffer.from(bytes));
  return credentials.createSsl(pem(ca), pem(key), pem(cert));
}
