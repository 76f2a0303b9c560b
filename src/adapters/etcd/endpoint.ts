import {
  Channel,
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ClientDuplexStream,
  connectivityState,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import type {
  IAuthenticateRequest,
  IAuthenticateResponse,
  ILeaseGrantRequest,
  ILeaseGrantResponse,
  ILeaseKeepAliveRequest,
  ILeaseKeepAliveResponse,
  ILeaseRevokeRequest,
  ILeaseRevokeResponse,
  IRangeRequest,
  IRangeResponse,
  IStatusResponse,
  ITxnRequest,
  ITxnResponse,
  IWatchRequest,
  IWatchResponse,
} from "etcd3";
// The library's pool, leases and watches repeat writes and lose events, so only its generated clients are used: this class
// makes them and does nothing else. It is not exported by the package's index.
import { Host } from "etcd3/lib/connection-pool.js";
import { LIMITS } from "../../kernel/limits.ts";
import { failureOf } from "./failure.ts";

/** The calls that have one request and one answer. */
export interface UnaryCalls {
  readonly "KV.range": { readonly request: IRangeRequest; readonly answer: IRangeResponse };
  readonly "KV.txn": { readonly request: ITxnRequest; readonly answer: ITxnResponse };
  readonly "Lease.leaseGrant": { readonly request: ILeaseGrantRequest; readonly answer: ILeaseGrantResponse };
  readonly "Lease.leaseRevoke": { readonly request: ILeaseRevokeRequest; readonly answer: ILeaseRevokeResponse };
  readonly "Auth.authenticate": { readonly request: IAuthenticateRequest; readonly answer: IAuthenticateResponse };
  readonly "Maintenance.status": { readonly request: object; readonly answer: IStatusResponse };
}

export interface CallOptions {
  readonly withinMs: number;
  readonly token: string | undefined;
}

export type WatchStream = ClientDuplexStream<IWatchRequest, IWatchResponse>;

type Unary = (
  request: unknown,
  metadata: Metadata,
  options: { deadline: number },
  done: (error: ServiceError | null, answer: unknown) => void,
) => void;
type Duplex<Request, Answer> = (metadata: Metadata, options?: { deadline: number }) => ClientDuplexStream<Request, Answer>;

const CHANNEL_OPTIONS: ChannelOptions = {
  // etcd takes more than one ping in 5 s, or pings while no call is open, for an attack and ends the connection.
  "grpc.keepalive_time_ms": LIMITS.etcdPingMs,
  "grpc.keepalive_timeout_ms": LIMITS.etcdPingAnswerMs,
  "grpc.keepalive_permit_without_calls": 0,
  // A watch that catches up is sent a thousand revisions at once.
  "grpc.max_receive_message_length": -1,
  // Whether a call may be repeated is known above, never here.
  "grpc.enable_retries": 0,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.enable_channelz": 0,
};

/** One member of etcd and the connection to it, which is made again whenever it breaks. Calls are sent once. */
export class Endpoint {
  readonly address: string;
  readonly #channel: Channel;
  readonly #host: Host;
  #isClosed = false;

  constructor(address: string, credentials: ChannelCredentials) {
    this.address = address;
    this.#channel = new Channel(address, credentials, CHANNEL_OPTIONS);
    // One connection for all services; without this each would have its own.
    this.#host = new Host(address, credentials, { channelOverride: this.#channel });
  }

  /** A call given to a connected endpoint leaves at once. Asking also wakes a connection that fell asleep. */
  get isConnected(): boolean {
    return !this.#isClosed && this.#channel.getConnectivityState(true) === connectivityState.READY;
  }

  /** Resolves when the connection's state has changed, and at the latest after `withinMs`. */
  changed(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isClosed) resolve();
      else this.#channel.watchConnectivityState(this.#channel.getConnectivityState(true), Date.now() + withinMs, () => resolve());
    });
  }

  /** Rejects as `failureOf` says; an answer that comes after `withinMs` is dropped. */
  call<M extends keyof UnaryCalls>(method: M, request: UnaryCalls[M]["request"], options: CallOptions) {
    const [service, name] = method.split(".") as ["KV", string];
    return new Promise<UnaryCalls[M]["answer"]>((resolve, reject) => {
      const deadline = Date.now() + options.withinMs;
      this.#client<Unary>(service, name)(request, metadataOf(options.token), { deadline }, (error, answer) => {
        if (error === null) resolve(answer as UnaryCalls[M]["answer"]);
        else reject(failureOf(this.address, error, error));
      });
    });
  }

  /**
   * One keep-alive on a stream of its own. Answers name the lease but not the request, so on a shared stream the late answer
   * to an earlier request would pass for the answer to this one.
   */
  keepAlive(request: ILeaseKeepAliveRequest, options: CallOptions): Promise<ILeaseKeepAliveResponse> {
    return new Promise((resolve, reject) => {
      const open = this.#client<Duplex<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>>("Lease", "leaseKeepAlive");
      const stream = open(metadataOf(options.token), { deadline: Date.now() + options.withinMs });
      stream.on("data", resolve);
      stream.on("error", (error: ServiceError) => reject(failureOf(this.address, error, error)));
      stream.on("end", () => reject(failureOf(this.address, { code: 0, details: "the stream ended without an answer" })));
      stream.write(request);
      stream.end();
    });
  }

  watch(token: string | undefined): WatchStream {
    return this.#client<Duplex<IWatchRequest, IWatchResponse>>("Watch", "watch")(metadataOf(token));
  }

  close(): void {
    this.#isClosed = true;
    this.#host.close();
    this.#channel.close();
  }

  #client<F>(service: Parameters<Host["getServiceClient"]>[0], name: string): F {
    const client = this.#host.getServiceClient(service) as Client & Record<string, (...args: unknown[]) => unknown>;
    return client[name]?.bind(client) as F;
  }
}

/** A member that has lost its leader shall say so at once and end streams, instead of being silent. */
function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  metadata.set("hasleader", "true");
  if (token !== undefined) metadata.set("token", token);
  return metadata;
}
