import { VirtualClock } from "../../sim/clock.ts";
import { MemoryNetwork } from "../../sim/network.ts";
import { GrpcNetwork } from "../../src/adapters/grpc/channel.ts";
import { GrpcServer } from "../../src/adapters/grpc/server.ts";
import { SystemClock } from "../../src/adapters/system/clock.ts";
import type { Channel } from "../../src/ports/network.ts";
import { TcpRelay } from "../support/tcp-relay.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";
import { describeNetwork, type NetworkBench } from "./network.ts";

describeNetwork("MemoryNetwork", (): NetworkBench => {
  const clock = new VirtualClock();
  const telemetry = new MemoryTelemetry();
  const memory = new MemoryNetwork({ clock, telemetry, latencyMs: () => 20 });
  let servers = 0;
  return {
    network: memory.from("client"),
    telemetry,
    serve: async (services, address = `server-${++servers}:7401`) => {
      const server = memory.serve(address, services);
      return {
        address,
        reset: () => memory.breakStreams(address),
        stop: async () => server.close(),
      };
    },
    run: (work) => clock.until(work),
    close: async () => {},
  };
});

describeNetwork("GrpcNetwork", (): NetworkBench => {
  const clock = new SystemClock({ errorMs: 100 });
  const telemetry = new MemoryTelemetry();
  const grpc = new GrpcNetwork();
  const channels: Channel[] = [];
  const stops: (() => Promise<void>)[] = [];
  return {
    network: {
      channel: (address) => {
        const channel = grpc.channel(address);
        channels.push(channel);
        return channel;
      },
    },
    telemetry,
    serve: async (services, address = "127.0.0.1:0") => {
      const server = await GrpcServer.listen({ address: "127.0.0.1:0", services, clock, telemetry });
      const relay = await TcpRelay.listen(server.address, Number(address.slice(address.lastIndexOf(":") + 1)));
      const stop = async () => {
        await server.close({ graceMs: 0 });
        await relay.close();
      };
      stops.push(stop);
      return {
        address: relay.address,
        reset: () => relay.reset(),
        stop: async () => {
          stops.splice(stops.indexOf(stop), 1);
          await stop();
        },
      };
    },
    run: (work) => work,
    close: async () => {
      for (const channel of channels) channel.close();
      await Promise.all(stops.map((stop) => stop()));
    },
  };
});
