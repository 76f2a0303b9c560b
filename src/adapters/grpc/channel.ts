import type { DescMethod } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import type { Channel, Network } from "../../ports/network.ts";
import { type OpenPipe, PipeChannel } from "../rpc/channel.ts";
import { pathOf } from "../rpc/dispatch.ts";
import { CHANNEL_OPTIONS } from "./options.ts";
import { fromStatus } from "./status.ts";
import { asIs, pipeOver } from "./stream.ts";

/** The network as it is: gRPC over TCP, without encryption. Each channel has a connection of its own. */
export class GrpcNetwork implements Network {
  channel(address: string): Channel {
    const client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
    return new PipeChannel({
      address,
      open: (method, options) => openCall(client, method, options),
      onClose: () => client.close(),
    });
  }
}

/** Calls of every kind go as two-way streams: on the wire there is no difference, and one set of rules serves them all. */
function openCall(client: Client, method: DescMethod, options: Parameters<OpenPipe>[1]): ReturnType<OpenPipe> {
  const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
  const call = client.makeBidiStreamRequest(pathOf(method), asIs, asIs, new Metadata(), deadline);
  const pipe = pipeOver({ side: "caller", stream: call, abort: () => call.cancel(), onOver: options.onOver });
  call.on("error", (error: ServiceError) => pipe.broke(fromStatus(error)));
  call.on("status", ({ code }: StatusObject) => {
    // All frames are on this side now. A paused stream would keep the end, and whoever waits to write, for ever.
    if (code === status.OK) {
      pipe.farEnded();
      call.resume();
    }
  });
  call.on("end", () => pipe.finished());
  return pipe;
}
