import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { encode } from "../../kernel/encode.ts";
import { MeridianError } from "../../kernel/errors.ts";
import type { CallOptions, Channel, Duplex } from "../../ports/network.ts";
import { decode, onlyFrame, typed } from "./codec.ts";
import type { Pipe } from "./pipe.ts";

/** Opens a call. After `deadlineMs` the wire breaks the pipe with UNAVAILABLE; `onOver` is called once when it is over. */
export type OpenPipe = (method: DescMethod, options: { readonly deadlineMs?: number; readonly onOver: () => void }) => Pipe;

/** The calling side over any wire. */
export class PipeChannel implements Channel {
  readonly #address: string;
  readonly #open: OpenPipe;
  readonly #onClose: () => void;
  readonly #pipes = new Set<Pipe>();
  #closed = false;

  constructor(options: { readonly address: string; readonly open: OpenPipe; readonly onClose: () => void }) {
    this.#address = options.address;
    this.#open = options.open;
    this.#onClose = options.onClose;
  }

  async unary<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options: CallOptions,
  ): Promise<MessageShape<M["output"]>> {
    const pipe = this.#pipe(method, options.deadlineMs);
    const forget = abortWith(pipe, method, options.signal);
    try {
      pipe.write(encode<M["input"]>(method.input, request));
      pipe.close();
      return decode<M["output"]>(method.output, await onlyFrame(pipe, "INTERNAL"), "INTERNAL");
    } catch (error) {
      const ours = MeridianError.from(error);
      pipe.close(ours);
      throw ours;
    } finally {
      forget();
    }
  }

  async *serverStream<M extends DescMethodServerStreaming>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options?: { readonly signal?: AbortSignal },
  ): AsyncGenerator<MessageShape<M["output"]>, void, undefined> {
    const pipe = this.#pipe(method);
    const forget = abortWith(pipe, method, options?.signal);
    try {
      pipe.write(encode<M["input"]>(method.input, request));
      pipe.close();
      for await (const frame of pipe.frames) yield decode<M["output"]>(method.output, frame, "INTERNAL");
    } finally {
      forget();
      pipe.close(new MeridianError("UNAVAILABLE", `the reader of ${method.name} has gone`));
    }
  }

  duplex<M extends DescMethodBiDiStreaming>(method: M): Duplex<MessageInitShape<M["input"]>, MessageShape<M["output"]>> {
    return typed<M["input"], M["output"]>(this.#pipe(method), { out: method.input, in: method.output }, "INTERNAL");
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const pipe of this.#pipes) pipe.close(this.#closedError());
    this.#onClose();
  }

  #pipe(method: DescMethod, deadlineMs?: number): Pipe {
    if (this.#closed) throw this.#closedError();
    let over = false;
    const pipe = this.#open(method, {
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      onOver: () => {
        over = true;
        this.#pipes.delete(pipe);
      },
    });
    if (!over) this.#pipes.add(pipe);
    return pipe;
  }

  #closedError(): MeridianError {
    return new MeridianError("UNAVAILABLE", `the channel to ${this.#address} was closed`, { advice: "Open a new channel." });
  }
}

/** Breaks the call when the signal is aborted; the answer stops listening. */
function abortWith(pipe: Pipe, method: DescMethod, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => {};
  const abort = () =>
    pipe.close(new MeridianError("UNAVAILABLE", `${method.name} was given up by its caller`, { cause: signal.reason }));
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return () => signal.removeEventListener("abort", abort);
}
