import type {
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";

/** The calling side: how SDKs reach nodes and nodes reach each other. The adapter speaks gRPC, the simulator memory. */
export interface Network {
  /** A channel to `host:port`. Connecting is lazy; a broken channel connects again at the next call. */
  channel(address: string): Channel;
}

/** Calls throw MeridianError only. UNAVAILABLE means: the far side may or may not have acted. */
export interface Channel {
  unary<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options: CallOptions,
  ): Promise<MessageShape<M["output"]>>;

  serverStream<M extends DescMethodServerStreaming>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<MessageShape<M["output"]>>;

  duplex<M extends DescMethodBiDiStreaming>(method: M): Duplex<MessageInitShape<M["input"]>, MessageShape<M["output"]>>;

  /** Breaks every call and stream of the channel. */
  close(): void;
}

export interface CallOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/**
 * One end of a two-way stream. Streams break, they do not lose or reorder frames: what is read is always a beginning of what
 * was written. A break loses what has not been read; say the last words in a frame and end cleanly.
 */
export interface Duplex<Out, In> {
  /**
   * Sends a frame. False: the far side reads slower than we write; wait for `drained()` before the next bulk frame. On a
   * stream that is over the frame is dropped. A frame above the limit, or far too many of them, break the stream.
   */
  write(frame: Out): boolean;

  /** Resolves when writing may go on, or when the stream is over. */
  drained(): Promise<void>;

  /** The frames of the far side; ends when it ends, throws MeridianError when the stream breaks. To be iterated once. */
  readonly frames: AsyncIterable<In>;

  /**
   * Ends our side: a caller goes on receiving, a handler's stream is over. With an error the stream breaks, even after a clean
   * close: the caller learns the handler's error, a handler learns UNAVAILABLE. Nothing more happens to a stream that is over.
   */
  close(error?: Error): void;
}

/** The serving side: one handler a method of the service, in the method's shape. Handlers throw MeridianError. */
export type Handlers<S extends DescService> = {
  readonly [K in keyof S["method"]]: S["method"][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, call: CallContext) => Promise<MessageInitShape<O>>
    : S["method"][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, call: CallContext) => AsyncIterable<MessageInitShape<O>>
      : S["method"][K] extends DescMethodBiDiStreaming<infer I, infer O>
        ? (stream: Duplex<MessageInitShape<O>, MessageShape<I>>, call: CallContext) => Promise<void>
        : never;
};

/** A service as a server takes it: `handlers` are `Handlers` of exactly this service. */
export interface ServiceRegistration {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
}

export interface CallContext {
  /** Aborted when the caller has gone or the server stops. */
  readonly signal: AbortSignal;
  /** The caller's address, for logs. */
  readonly peer: string;
}
