import type { ServerDuplexStream, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import { MeridianError } from "../../kernel/errors.ts";
import type { Route } from "../rpc/dispatch.ts";
import type { OpenCalls } from "./open-calls.ts";
import { toStatus } from "./status.ts";
import { asIs, pipeOver } from "./stream.ts";

/** Our methods as grpc-js wants them. Calls of every kind come as two-way streams: on the wire there is no difference. */
export function bridge(routes: readonly Route[], calls: OpenCalls) {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const route of routes) {
    definition[route.method.name] = {
      path: route.path,
      requestStream: true,
      responseStream: true,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    implementation[route.method.name] = (call: ServerDuplexStream<Buffer, Buffer>) => accept(route, call, calls);
  }
  return { definition, implementation };
}

function accept(route: Route, call: ServerDuplexStream<Buffer, Buffer>, calls: OpenCalls): void {
  const abort = new AbortController();
  const pipe = pipeOver({
    side: "handler",
    stream: call,
    // For grpc-js an emitted error is the status to end the call with, after what was written.
    abort: (error) => call.emit("error", toStatus(error)),
    onOver: (error) => {
      calls.remove(pipe);
      if (error !== undefined) abort.abort(error);
    },
  });
  calls.add(pipe, route.method.methodKind === "unary" ? "unary" : "stream");
  // Node ends the stream of a cancelled call as if the caller had ended it well, and tells of the cancelling just after.
  call.on("end", () => setImmediate(() => pipe.halfClosed()));
  call.on("cancelled", () => pipe.broke(new MeridianError("UNAVAILABLE", "the caller has gone")));
  // `serve` never throws: the handler's failure goes to the caller.
  void route.serve(pipe, { signal: abort.signal, peer: call.getPeer() });
}
