import type { DescMessage, DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { encode } from "../../kernel/encode.ts";
import { MeridianError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { type Timers, withDeadline } from "../../kernel/timing.ts";
import type { CallContext, Duplex, ServiceRegistration } from "../../ports/network.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { decode, onlyFrame, typed } from "./codec.ts";
import type { Pipe } from "./pipe.ts";

/** One method with the handler that serves it. */
export interface Route {
  readonly path: string;
  readonly method: DescMethod;
  serve(pipe: Pipe, call: CallContext): Promise<void>;
}

/** The routes of a service; throws INTERNAL when a handler is missing. */
export function routesOf(
  registration: ServiceRegistration,
  environment: { readonly timers: Timers; readonly telemetry: Telemetry },
): Route[] {
  return registration.service.methods.map((method) => {
    const handler = registration.handlers[method.localName];
    if (typeof handler !== "function") {
      throw new MeridianError("INTERNAL", `${registration.service.typeName} has no handler for ${method.name}`);
    }
    const path = pathOf(method);
    const handle = handling(method, handler.bind(registration.handlers), environment.timers);
    return { path, method, serve: (pipe, call) => serve({ path, handle, pipe, call, telemetry: environment.telemetry }) };
  });
}

export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

type Handle = (pipe: Pipe, call: CallContext) => Promise<void>;

// The handlers' exact types are checked where they are registered; here only their shapes are left.
type Init = MessageInitShape<DescMessage>;
type UnaryHandler = (request: object, call: CallContext) => Promise<Init>;
type StreamHandler = (request: object, call: CallContext) => AsyncIterable<Init>;
type DuplexHandler = (stream: Duplex<Init, object>, call: CallContext) => Promise<void>;

function handling(method: DescMethod, handler: unknown, timers: Timers): Handle {
  const requestOf = async (pipe: Pipe): Promise<object> => {
    const frame = await withDeadline(
      timers,
      LIMITS.callDeadlineMs,
      `the request of ${method.name}`,
      onlyFrame(pipe, "INVALID_ARGUMENT"),
    );
    return decode(method.input, frame, "INVALID_ARGUMENT");
  };
  switch (method.methodKind) {
    case "unary":
      return async (pipe, call) => {
        pipe.write(encode(method.output, await (handler as UnaryHandler)(await requestOf(pipe), call)));
      };
    case "server_streaming":
      return async (pipe, call) => {
        for await (const message of (handler as StreamHandler)(await requestOf(pipe), call)) {
          if (!pipe.write(encode(method.output, message))) await pipe.drained();
          if (pipe.over) return;
        }
      };
    case "bidi_streaming":
      return (pipe, call) =>
        (handler as DuplexHandler)(typed(pipe, { out: method.output, in: method.input }, "INVALID_ARGUMENT"), call);
    case "client_streaming":
      throw new MeridianError("INTERNAL", `${method.name} streams to the server only: no service of ours may`);
  }
}

/** Runs one call to its end. Never throws: whatever the handler throws goes to the caller, and a bug to the log as well. */
async function serve(options: {
  readonly path: string;
  readonly handle: Handle;
  readonly pipe: Pipe;
  readonly call: CallContext;
  readonly telemetry: Telemetry;
}): Promise<void> {
  const { path, handle, pipe, call, telemetry } = options;
  try {
    await handle(pipe, call);
    pipe.close();
  } catch (thrown) {
    const error = MeridianError.from(thrown);
    if (error.code === "INTERNAL" && thrown !== call.signal.reason) {
      const stack = thrown instanceof Error ? thrown.stack : undefined;
      telemetry.log("error", "rpc.bug", { path, peer: call.peer, message: error.message, stack });
      telemetry.count("rpc.bugs");
    }
    pipe.close(error);
  }
}
